"""`/webhooks`, as a customer's program uses it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from accounts.choices import EventType, Mode, Role, WebhookState
from accounts.models import AuditEvent, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import delivery, emit, endpoints
from smsapp.core.rate_limits import Bucket
from tests.support.factories import make_api_key
from tests.support.servers.receivers import Receiver, answers, running_receiver

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class Caller:
    def __init__(self, client: Any, **options: Any) -> None:
        self.client = client
        self.row, self.key = make_api_key(**options)
        self.account = self.row.account

    def __call__(self, method: str, path: str = "", body: Any = None) -> Any:
        options = {} if method == "get" else {"data": body or {}, "content_type": "application/json"}
        call = getattr(self.client, method)
        return call(f"/api/v1/webhooks{path}", headers={"X-API-Key": self.key}, **options)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_LOCAL = True
    with running_receiver() as running:
        yield running


@pytest.fixture
def caller(client: Any) -> Caller:
    return Caller(client)


@pytest.fixture
def made(caller: Caller, receiver: Receiver) -> dict[str, Any]:
    answer = caller("post", "", {"url": receiver.url("/hook")})
    assert answer.status_code == 201, answer.json()
    return answer.json()["data"]


def tell(caller: Caller) -> WebhookDelivery:
    emit(caller.account.pk, "live", EventType.CAMPAIGN_STARTED, {"bulk_id": "bulk-1"})
    return WebhookDelivery.objects.latest("pk")


def test_the_secret_is_shown_when_an_endpoint_is_made_and_never_again(caller: Caller, made: dict[str, Any]) -> None:
    assert made["secret"].startswith("whsec_")
    for path in ("", f"/{made['endpoint_id']}"):
        assert made["secret"] not in caller("get", path).content.decode()
    assert AuditEvent.objects.filter(action="webhook.created", target_id=made["endpoint_id"]).count() == 1


def test_a_test_event_arrives_and_its_delivery_is_shown(
    caller: Caller, made: dict[str, Any], receiver: Receiver
) -> None:
    receiver.acts["/hook"] = answers(200, b"thanks")
    answer = caller("post", f"/{made['endpoint_id']}/test")
    assert answer.status_code == 202
    delivery.deliver_due()
    Webhook(made["secret"]).verify(receiver.received[0].body, receiver.received[0].headers)
    shown = caller("get", f"/{made['endpoint_id']}/deliveries/{answer.json()['data']['event_id']}").json()["data"]
    assert (shown["status"], shown["event_type"], shown["body"]["type"]) == ("DELIVERED", "ping", "ping")
    (attempt,) = shown["attempts"]
    assert (attempt["http_status"], attempt["response"], attempt["error"]) == (200, "thanks", None)


def test_an_endpoint_is_changed_in_part(caller: Caller, made: dict[str, Any]) -> None:
    answer = caller("patch", f"/{made['endpoint_id']}", {"event_types": ["message.delivered"], "show_numbers": True})
    data = answer.json()["data"]
    assert (data["event_types"], data["show_numbers"], data["url"]) == (["message.delivered"], True, made["url"])
    assert AuditEvent.objects.get(action="webhook.changed").before["event_types"] == []


def test_a_rotated_secret_is_shown_once(caller: Caller, made: dict[str, Any], receiver: Receiver) -> None:
    rotated = caller("post", f"/{made['endpoint_id']}/rotate-secret").json()["data"]
    assert rotated["secret"] != made["secret"]
    tell(caller)
    delivery.deliver_due()
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(receiver.received[0].body, receiver.received[0].headers)


def test_an_endpoint_is_removed_with_its_log(caller: Caller, made: dict[str, Any]) -> None:
    tell(caller)
    assert caller("delete", f"/{made['endpoint_id']}").status_code == 204
    assert caller("get", f"/{made['endpoint_id']}").status_code == 404
    assert not WebhookDelivery.objects.exists()


def test_what_failed_is_listed_and_replayed(caller: Caller, made: dict[str, Any], receiver: Receiver) -> None:
    receiver.acts["/hook"] = answers(500)
    rows = [tell(caller) for _ in range(3)]
    WebhookDelivery.objects.update(state=WebhookState.FAILED)
    path = f"/{made['endpoint_id']}/deliveries"
    assert len(caller("get", f"{path}?status=FAILED").json()["data"]["results"]) == 3
    assert caller("get", f"{path}?status=DELIVERED").json()["data"]["results"] == []
    receiver.acts["/hook"] = answers(200)
    answer = caller("post", f"{path}/{rows[0].event_id}/replay")
    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "WAITING")
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert caller("post", f"/{made['endpoint_id']}/replay", {"failed_since": since}).json()["data"] == {"replayed": 2}
    delivery.deliver_due()
    assert sorted(one.event_id for one in receiver.received) == sorted(row.event_id for row in rows)


def test_an_event_that_waits_is_not_replayed(caller: Caller, made: dict[str, Any]) -> None:
    row = tell(caller)
    answer = caller("post", f"/{made['endpoint_id']}/deliveries/{row.event_id}/replay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "INVALID_STATE")


def test_an_endpoint_that_is_off_is_enabled(caller: Caller, made: dict[str, Any]) -> None:
    delivery.disable(WebhookEndpoint.objects.get(), "It answered 410 Gone.", timezone.now())
    assert caller("post", f"/{made['endpoint_id']}/test").status_code == 409
    assert caller("get", f"/{made['endpoint_id']}").json()["data"]["disabled_reason"] == "It answered 410 Gone."
    assert caller("post", f"/{made['endpoint_id']}/enable").json()["data"]["is_active"] is True
    assert caller("post", f"/{made['endpoint_id']}/test").status_code == 202


@pytest.mark.parametrize("path", ["/rotate-secret", "/test", "/enable"])
def test_calls_without_fields_take_none(caller: Caller, made: dict[str, Any], path: str) -> None:
    before = list(WebhookEndpoint.objects.values())
    answer = caller("post", f"/{made['endpoint_id']}{path}", {"force": True})
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, "force")
    assert list(WebhookEndpoint.objects.values()) == before
    url = f"/api/v1/webhooks/{made['endpoint_id']}{path}"
    assert caller.client.generic("POST", url, headers={"X-API-Key": caller.key}).status_code in (200, 202)


def test_replays_and_tests_are_limited(caller: Caller, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from accounts.api import webhooks

    monkeypatch.setattr(webhooks, "Bucket", lambda policy, name, limit, window: Bucket(policy, name, limit, 60))
    statuses = [caller("post", f"/{made['endpoint_id']}/test").status_code for _ in range(12)]
    assert statuses == [202] * 10 + [429] * 2
    assert WebhookDelivery.objects.count() == 10


def test_the_callback_secret_is_read_and_changed(caller: Caller, client: Any) -> None:
    secret = caller("get", "/callback-secret").json()["data"]["secret"]
    assert caller("get", "/callback-secret").json()["data"]["secret"] == secret
    assert caller("post", "/callback-secret").json()["data"]["secret"] != secret
    viewer = Caller(client, account=caller.account, role=Role.VIEWER)
    assert viewer("get").status_code == 200
    assert viewer("get", "/callback-secret").status_code == 403


def test_what_belongs_to_others_is_not_there(caller: Caller, made: dict[str, Any], client: Any) -> None:
    row = tell(caller)
    for other in (Caller(client), Caller(client, account=caller.account, mode=Mode.TEST)):
        assert other("get").json()["data"]["results"] == []
        for method, path, body in (
            ("get", "", None),
            ("patch", "", {"description": "x"}),
            ("delete", "", None),
            ("post", "/test", None),
            ("post", "/rotate-secret", None),
            ("post", "/enable", None),
            ("get", "/deliveries", None),
            ("post", "/replay", {"failed_since": "2027-01-01T00:00:00Z"}),
            ("get", f"/deliveries/{row.event_id}", None),
            ("post", f"/deliveries/{row.event_id}/replay", None),
        ):
            assert other(method, f"/{made['endpoint_id']}{path}", body).status_code == 404, (method, path)
        own = other("post", "", {"url": f"http://127.0.0.1:1/{other.row.pk}"}).json()["data"]
        assert other("get", f"/{own['endpoint_id']}/deliveries/{row.event_id}").status_code == 404
    assert caller("get", f"/{made['endpoint_id']}").json()["data"]["description"] is None


@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("url", "http://10.0.0.1/", 422),
        ("url", "https://127.0.0.1/", 422),
        ("url", "", 400),
        ("url", None, 400),
        ("url", "https://a\x00.com/", 400),
        ("url", "https://\ud800.com/", 400),
        ("url", ["https://a.com"], 400),
        ("url", "x" * 501, 400),
        ("event_types", ["nothing"], 400),
        ("event_types", ["ping"], 400),
        ("event_types", "message.delivered", 400),
        ("event_types", [["x"]], 400),
        ("event_types", [10**400], 400),
        ("show_numbers", "maybe", 400),
        ("description", "x" * 121, 400),
        ("description", "a\x00b", 400),
        ("secret", "whsec_abc", 400),
        ("mode", "test", 400),
        ("is_active", False, 400),
        ("account", 1, 400),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(
    caller: Caller, receiver: Receiver, settings: Any, method: str, field: str, value: Any, status: int
) -> None:
    made = caller("post", "", {"url": receiver.url()}).json()["data"]
    before = list(WebhookEndpoint.objects.values())
    settings.WEBHOOK_ALLOW_LOCAL = False
    body = {field: value} if method == "patch" or field == "url" else {"url": receiver.url("/2"), field: value}
    answer = caller(method, f"/{made['endpoint_id']}" if method == "patch" else "", body)
    assert answer.status_code == status, answer.json()
    error = answer.json()["error"]
    if error["code"] != "INVALID_JSON":
        assert field in str(error["details"])
    assert list(WebhookEndpoint.objects.values()) == before


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/we_x'--", "/%F0%9F%98%80", "/we_x/deliveries", "/we_x/deliveries/1", f"/we_x/deliveries/{10**30}"],
)
def test_what_is_not_there_is_404(caller: Caller, path: str) -> None:
    answer = caller("get", path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_ids_that_no_event_has_are_404(caller: Caller, made: dict[str, Any]) -> None:
    assert caller("get", f"/{made['endpoint_id']}/deliveries/{10**30}").status_code == 404


@pytest.mark.parametrize(
    "query", ["?status=LOST", "?status=failed", "?event_type=x", "?cursor=x", "?limit=0", "?limit=201", "?page=2"]
)
def test_unknown_filters_are_refused(caller: Caller, made: dict[str, Any], query: str) -> None:
    assert caller("get", f"/{made['endpoint_id']}/deliveries{query}").status_code == 400


def test_lists_cost_the_same_however_long(caller: Caller, made: dict[str, Any], django_assert_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    path = f"/{made['endpoint_id']}/deliveries?limit=200"
    tell(caller)
    caller("get", path)
    with CaptureQueriesContext(connection) as few:
        caller("get", path)
    for _ in range(30):
        tell(caller)
    with CaptureQueriesContext(connection) as many:
        assert len(caller("get", path).json()["data"]["results"]) == 31
    assert len(few) == len(many)


@pytest.mark.parametrize("path", ["sms/send", "sms/bulk"])
def test_a_send_with_a_callback_url_is_told_there(caller: Caller, client: Any, receiver: Receiver, path: str) -> None:
    body = {"phone_numbers": ["+4915112345678"], "message": "Hello", "callback_url": receiver.url("/done")}
    headers = {"X-API-Key": caller.key}
    answer = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
    assert answer.status_code == 202, answer.json()
    (row,) = WebhookEndpoint.objects.all()
    assert (row.kind, row.url, row.mode) == ("callback", receiver.url("/done"), "live")
    assert caller("get", "?kind=callback").json()["data"]["results"][0]["endpoint_id"] == row.endpoint_id
    assert endpoints.signing_secrets(row) == [caller("get", "/callback-secret").json()["data"]["secret"]]
    refused = caller("patch", f"/{row.endpoint_id}", {"url": receiver.url("/other")})
    assert refused.status_code == 409
    assert caller("patch", f"/{row.endpoint_id}", {"show_numbers": True}).status_code == 200


@pytest.mark.parametrize("path", ["sms/send", "sms/bulk"])
def test_a_callback_url_that_leads_inside_is_refused_and_nothing_is_accepted(
    caller: Caller, client: Any, path: str
) -> None:
    from campaigns.models import Campaign

    for url in ("https://169.254.169.254/", "http://localhost/", "https://10.0.0.1/"):
        body = {"phone_numbers": ["+4915112345678"], "message": "Hello", "callback_url": url}
        headers = {"X-API-Key": caller.key}
        answer = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (422, "CALLBACK_URL_NOT_ALLOWED")
        assert (error["details"]["field"], error["details"]["value"]) == ("callback_url", url)
    assert not Campaign.objects.exists()
    assert not WebhookEndpoint.objects.exists()
