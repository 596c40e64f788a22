"""Every code of the catalogue is answered by something, with its status, and documented; and no other code is."""

import ast
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.utils import timezone

from accounts.access import tokens
from accounts.access.api_keys import revoke_api_key
from accounts.choices import Role, Scope
from accounts.models import Account, ApiKey, Price
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.models import Message
from smsapp.api.errors import FRAMEWORK_CODES
from smsapp.api.openapi.examples import failure_example
from smsapp.core import exceptions
from smsapp.core.error_codes import CATALOGUE, PROBLEMS
from tests.support.factories import MembershipFactory, make_api_key, phones
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PHONE = phones(1)[0]
BODY = {"phone_numbers": [PHONE], "message": "Hello"}
JSON = "application/json"


class World:
    """A caller, and what may go wrong with its calls."""

    def __init__(self, client: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client, self.settings, self.monkeypatch = client, settings, monkeypatch
        self.row, self.key = make_api_key()
        self.account = self.row.account

    def send(self, headers: Any = None, **changes: Any) -> Any:
        return self.post("sms/send", BODY | changes, headers)

    def post(self, path: str, body: Any, headers: Any = None, content_type: str = JSON) -> Any:
        own = {"X-API-Key": self.key, **(headers or {})}
        return self.client.post(f"/api/v1/{path}", body, content_type=content_type, headers=own)

    def get(self, path: str, headers: Any = None) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=headers or {"X-API-Key": self.key})

    def raising(self, error: BaseException) -> None:
        def broken(*args: Any) -> None:
            raise error

        self.monkeypatch.setattr("messaging.services.send", broken)


PROVOKED: dict[str, Callable[[World], Any]] = {}


def provokes(code: str) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    def note(act: Callable[[World], Any]) -> Callable[[World], Any]:
        PROVOKED[code] = act
        return act

    return note


def simple(code: str, act: Callable[[World], Any]) -> None:
    PROVOKED[code] = act


simple("VALIDATION_ERROR", lambda w: w.send(unheard_of=1))
simple("INVALID_JSON", lambda w: w.post("sms/send", b"{"))
simple("INVALID_CURSOR", lambda w: w.get("campaigns?cursor=forged"))
simple("IDEMPOTENCY_KEY_INVALID", lambda w: w.send({"Idempotency-Key": "x" * 256}))
simple("AUTHENTICATION_REQUIRED", lambda w: w.client.get("/api/v1/campaigns"))
simple("INVALID_CREDENTIALS", lambda w: w.get("campaigns", {"X-API-Key": "nonsense"}))
simple("TOKEN_INVALID", lambda w: w.get("campaigns", {"Authorization": "Bearer nonsense"}))
simple("NOT_FOUND", lambda w: w.get("campaigns/nothing"))
simple("METHOD_NOT_ALLOWED", lambda w: w.client.put("/api/v1/campaigns", headers={"X-API-Key": w.key}))
simple("NOT_ACCEPTABLE", lambda w: w.get("campaigns", {"X-API-Key": w.key, "Accept": "text/html"}))
simple("UNSUPPORTED_MEDIA_TYPE", lambda w: w.post("sms/send", "a=b", content_type="text/plain"))
simple("PAYLOAD_TOO_LARGE", lambda w: w.post("sms/send", b"{" + b" " * (4 * 1024 * 1024) + b"}"))
simple("CALLBACK_URL_NOT_ALLOWED", lambda w: w.send(callback_url="https://127.0.0.1/"))
simple("MESSAGE_TOO_LONG", lambda w: w.send(message="x" * 1601))
simple("SCHEDULE_IN_PAST", lambda w: w.send(schedule_time="2020-01-01T00:00:00Z"))
simple("SENDER_NOT_ALLOWED", lambda w: w.send(sender_id="YourBrand"))
simple("TEMPLATE_VARIABLE_MISSING", lambda w: w.post("sms/bulk", BODY | {"message": "Hello {name}"}))
simple("TOO_MANY_RECIPIENTS", lambda w: w.send(phone_numbers=phones(101)))


@provokes("API_KEY_EXPIRED")
def _(w: World) -> Any:
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    return w.send()


@provokes("API_KEY_REVOKED")
def _(w: World) -> Any:
    revoke_api_key(w.row, w.row.user)
    return w.send()


@provokes("TOKEN_EXPIRED")
def _(w: World) -> Any:
    w.monkeypatch.setattr("rest_framework_simplejwt.tokens.AccessToken.lifetime", timedelta(seconds=-60))
    token = tokens.sign_in(MembershipFactory().user).access_token
    return w.get("campaigns", {"Authorization": f"Bearer {token}"})


@provokes("INSUFFICIENT_CREDIT")
def _(w: World) -> Any:
    Price.objects.create(prefix="", currency="EUR", price_micro=1)
    Account.objects.update(is_metered=True, currency="EUR")
    return w.send()


@provokes("DESTINATION_BLOCKED")
def _(w: World) -> Any:
    Account.objects.update(is_metered=True, currency="EUR")
    return w.send()


@provokes("QUOTA_EXCEEDED")
def _(w: World) -> Any:
    Account.objects.update(daily_message_limit=1)
    return w.send(phone_numbers=phones(2))


@provokes("SPEND_LIMIT_REACHED")
def _(w: World) -> Any:
    Price.objects.create(prefix="", currency="EUR", price_micro=2)
    Account.objects.update(is_metered=True, currency="EUR", balance_micro=100, daily_spend_limit_micro=1)
    return w.send()


@provokes("RECIPIENT_LIMIT_REACHED")
def _(w: World) -> Any:
    Account.objects.update(recipient_daily_limit=1)
    assert w.send().status_code == 202
    Message.objects.update(status=MessageStatus.SENT, sent_at=timezone.now())
    return w.send()


@provokes("PERMISSION_DENIED")
def _(w: World) -> Any:
    w.key = make_api_key(role=Role.VIEWER)[1]
    return w.send()


@provokes("INSUFFICIENT_SCOPE")
def _(w: World) -> Any:
    w.key = make_api_key(scopes=[Scope.CAMPAIGNS_READ])[1]
    return w.send()


@provokes("IP_NOT_ALLOWED")
def _(w: World) -> Any:
    ApiKey.objects.update(allowed_networks=["203.0.113.0/24"])
    return w.send()


@provokes("ACCOUNT_SUSPENDED")
def _(w: World) -> Any:
    Account.objects.update(is_active=False)
    return w.send()


@provokes("CSRF_FAILED")
def _(w: World) -> Any:
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(w.row.user, backend="django.contrib.auth.backends.ModelBackend")
    return browser.post("/api/v1/sms/send", BODY, content_type=JSON)


@provokes("ALREADY_EXISTS")
def _(w: World) -> Any:
    assert w.post("contact-lists", {"name": "News"}).status_code == 201
    return w.post("contact-lists", {"name": "News"})


@provokes("DUPLICATE_REFERENCE")
def _(w: World) -> Any:
    assert w.send(client_reference="order-1").status_code == 202
    return w.send(client_reference="order-1")


@provokes("IDEMPOTENCY_IN_PROGRESS")
def _(w: World) -> Any:
    """The wait itself is proven in test_idempotency.py."""
    error = exceptions.IdempotencyInProgress("A call with this key is being carried out.", retry_after=1)

    def busy(*args: Any) -> None:
        raise error

    w.monkeypatch.setattr("accounts.idempotency._claimed", busy)
    return w.send({"Idempotency-Key": "k"})


@provokes("IDEMPOTENCY_KEY_REUSED")
def _(w: World) -> Any:
    assert w.send({"Idempotency-Key": "k"}).status_code == 202
    return w.send({"Idempotency-Key": "k"}, message="Another")


@provokes("OUTCOME_UNKNOWN")
def _(w: World) -> Any:
    """The real loss is proven in test_idempotency.py."""

    def lost(*args: Any) -> Any:
        raise exceptions.OutcomeUnknown("It is not known whether this was done.", retry_after=5)

    w.monkeypatch.setattr("accounts.idempotency.carry_out", lost)
    return w.send({"Idempotency-Key": "k"})


@provokes("INVALID_STATE")
def _(w: World) -> Any:
    draft = w.post("campaigns", {"message": "Hello", "phone_numbers": [PHONE]}).json()["data"]
    return w.post(f"campaigns/{draft['bulk_id']}/pause", {})


@provokes("UPLOAD_NOT_READY")
def _(w: World) -> Any:
    upload = w.client.post(
        "/api/v1/files/upload", {"file": SimpleUploadedFile("n.txt", PHONE.encode())}, headers={"X-API-Key": w.key}
    ).json()["data"]
    return w.post("sms/bulk", {"upload_id": upload["upload_id"], "message": "Hello"})


@provokes("RECIPIENT_OPTED_OUT")
def _(w: World) -> Any:
    suppress(w.account, PHONE, "asked")
    return w.send()


@provokes("UPLOAD_INVALID")
def _(w: World) -> Any:
    file = SimpleUploadedFile("numbers.exe", b"MZ")
    return w.client.post("/api/v1/files/upload", {"file": file}, headers={"X-API-Key": w.key})


@provokes("LOGIN_THROTTLED")
def _(w: World) -> Any:
    for _ in range(w.settings.AXES_FAILURE_LIMIT + 1):
        answer = w.client.post("/api/v1/auth/token", {"username": "anna", "password": "x"}, content_type=JSON)
    return answer


@provokes("RATE_LIMIT_EXCEEDED")
def _(w: World) -> Any:
    w.settings.REDIS_KEY_PREFIX += f"-{uuid.uuid4().hex}"  # other tests' keys have the same numbers
    w.settings.API_RATE_KEY = 1
    w.send()
    return w.send()


@provokes("INTERNAL_ERROR")
def _(w: World) -> Any:
    w.raising(ZeroDivisionError())
    return w.send()


@provokes("SERVICE_UNAVAILABLE")
def _(w: World) -> Any:
    w.raising(OperationalError("connection refused"))
    return w.send()


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_code_is_answered_with_its_status(code: str, client: Any, settings: Any, monkeypatch: Any) -> None:
    before = Campaign.objects.count()
    answer = PROVOKED[code](World(client, settings, monkeypatch))
    error = answer.json()["error"]
    assert (error["code"], answer.status_code) == (code, CATALOGUE[code].http_status)
    assert without_figures(error["message"]) == without_figures(failure_example(code)["error"]["message"])
    assert set(error["details"]) == set(failure_example(code)["error"]["details"])
    if field := error["details"].get("field"):
        assert {"field", "value", "code", "errors"} <= set(error["details"])
        first = error["details"]["errors"][0]
        assert set(first) == {"field", "code", "message", "value"}
        assert (first["field"], first["code"]) == (field, error["details"]["code"])
        assert first["code"] in {**PROBLEMS, **CATALOGUE}
    if "Retry-After" in CATALOGUE[code].retry and code != "INTERNAL_ERROR":
        assert int(answer.headers["Retry-After"]) > 0
    done_before = (
        "DUPLICATE_REFERENCE",
        "IDEMPOTENCY_KEY_REUSED",
        "INVALID_STATE",
        "RATE_LIMIT_EXCEEDED",
        "RECIPIENT_LIMIT_REACHED",
    )
    assert Campaign.objects.count() - before == (code in done_before)


def without_figures(message: str) -> str:
    """Return an error's message without numbers, which differ between the example and what was provoked."""
    return re.sub(r"[0-9][0-9,]*", "#", message)


def test_nothing_is_provoked_that_is_not_in_the_catalogue() -> None:
    assert set(PROVOKED) == set(CATALOGUE)


def errors_of(kind: type[exceptions.SmsappError]) -> set[type[exceptions.SmsappError]]:
    return {kind}.union(*(errors_of(child) for child in kind.__subclasses__()))


def test_every_error_refers_to_the_catalogue() -> None:
    for error in errors_of(exceptions.SmsappError):
        assert error.code in CATALOGUE, error
        assert "http_status" not in vars(error) or error is exceptions.SmsappError
    assert set(FRAMEWORK_CODES.values()) <= set(CATALOGUE)
    for kind, code in FRAMEWORK_CODES.items():
        assert kind.status_code == CATALOGUE[code].http_status


def test_the_source_answers_no_other_code() -> None:
    """Whatever looks like a code where errors are made is one."""
    for name in ("smsapp/core/exceptions.py", "smsapp/api/errors.py", "smsapp/api/openapi/schema.py"):
        tree = ast.parse((Path(django_settings.BASE_DIR) / name).read_text())
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        codes = {text for text in texts if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}
        assert codes <= set(CATALOGUE), name


def test_the_schema_names_every_code_and_where_it_comes_from(client: Any) -> None:
    schema = client.get("/api/v1/schema?format=json").json()
    for code, entry in CATALOGUE.items():
        assert f"| `{code}` | {entry.http_status} | {entry.when} |" in schema["info"]["description"]
    send = codes_of(schema, "/api/v1/sms/send", "post")
    assert {"VALIDATION_ERROR", "INVALID_JSON", "API_KEY_REVOKED", "RATE_LIMIT_EXCEEDED", "OUTCOME_UNKNOWN"} <= send
    assert {"MESSAGE_TOO_LONG", "DUPLICATE_REFERENCE", "SENDER_NOT_ALLOWED", "SCHEDULE_IN_PAST"} <= send
    reports = codes_of(schema, "/api/v1/sms/reports", "get")
    assert "INVALID_CURSOR" in reports
    assert not reports & {"INVALID_JSON", "IDEMPOTENCY_KEY_INVALID", "NOT_FOUND"}


def codes_of(schema: Any, path: str, method: str) -> set[str]:
    found: set[str] = set()
    for status, reference in schema["paths"][path][method]["responses"].items():
        if not status.startswith("2"):
            response = schema["components"]["responses"][reference["$ref"].rpartition("/")[2]]
            found |= set(re.findall(r"`([A-Z_]+)`: ", response["description"]))
    return found


def test_all_problems_are_listed_and_a_hundred_at_most(client: Any, settings: Any, monkeypatch: Any) -> None:
    world = World(client, settings, monkeypatch)
    details = world.send(message="", name=7 * "x" * 30, phone_numbers=["x" * 41] * 3).json()["error"]["details"]
    assert len(details["errors"]) == 5
    details = world.send(**{f"unheard_of_{n}": n for n in range(300)}).json()["error"]["details"]
    assert len(details["errors"]) == 100
