"""`/api-keys` as a customer's program sees it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.access.api_keys import issue_api_key, match_api_key
from accounts.choices import Mode, Role, Scope
from accounts.models import ApiKey, AuditEvent
from tests.support.builders import issuer_for
from tests.support.factories import MembershipFactory, make_api_key

pytestmark = [pytest.mark.django_db, pytest.mark.once]
URL = "/api/v1/api-keys"


class Caller:
    def __init__(self, client, text):
        self.client, self.headers = client, {"X-API-Key": text}

    def ask(self, method, path="", body=None, **more):
        data = {"data": body, "content_type": "application/json"} if body is not None else {}
        return getattr(self.client, method)(f"{URL}{path}", headers=self.headers, **data, **more)


@pytest.fixture
def owner(client):
    key, text = make_api_key()
    caller = Caller(client, text)
    caller.row = key
    return caller


def test_a_key_is_made_shown_once_used_changed_rotated_and_revoked(client, owner):
    made = owner.ask("post", body={"name": "Shop", "mode": "test", "scopes": ["messages:read"]})
    assert made.status_code == 201
    data = made.json()["data"]
    assert data["api_key"].startswith(f"sms_test_{data['key_id']}_")
    assert (data["name"], data["mode"], data["scopes"], data["is_usable"]) == ("Shop", "test", ["messages:read"], True)
    assert "api_key" not in owner.ask("get", f"/{data['key_id']}").json()["data"]

    def reports(text):
        return client.get("/api/v1/sms/reports", headers={"X-API-Key": text})

    assert reports(data["api_key"]).status_code == 200
    changed = owner.ask("patch", f"/{data['key_id']}", {"name": "Store", "allowed_networks": ["10.0.0.0/8"]})
    assert changed.json()["data"]["name"] == "Store"
    refused = reports(data["api_key"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "IP_NOT_ALLOWED")
    owner.ask("patch", f"/{data['key_id']}", {"allowed_networks": []})

    rotated = owner.ask("post", f"/{data['key_id']}/rotate", {"overlap_hours": 1})
    assert rotated.status_code == 201
    new = rotated.json()["data"]
    assert [reports(text).status_code for text in (data["api_key"], new["api_key"])] == [200, 200]
    assert owner.ask("get", f"/{data['key_id']}").json()["data"]["replaced_by_key_id"] == new["key_id"]

    for _ in range(2):
        revoked = owner.ask("delete", f"/{new['key_id']}")
        assert (revoked.status_code, revoked.json()["data"]["is_usable"]) == (200, False)
    refused = reports(new["api_key"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "API_KEY_REVOKED")
    assert refused["WWW-Authenticate"]
    assert {row["key_id"] for row in owner.ask("get").json()["data"]["results"]} == {
        data["key_id"],
        new["key_id"],
        owner.row.prefix,
    }


def test_the_audit_log_names_the_key_that_acted(owner):
    owner.ask("post", body={"name": "Shop", "mode": "test"})
    event = AuditEvent.objects.get(action="api_key.issued", target_id=ApiKey.objects.get(name="Shop").prefix)
    assert (event.api_key_prefix, event.user, event.ip_address) == (owner.row.prefix, owner.row.user, "127.0.0.1")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x"}, "mode"),
        ({"name": "x", "mode": "prod"}, "mode"),
        ({"name": "x\x00", "mode": "live"}, "name"),
        ({"name": "x" * 81, "mode": "live"}, "name"),
        ({"name": "x", "mode": "live", "scopes": []}, "scopes"),
        ({"name": "x", "mode": "live", "scopes": ["messages:send", "root"]}, "scopes[1]"),
        ({"name": "x", "mode": "live", "scopes": "messages:send"}, "scopes"),
        ({"name": "x", "mode": "live", "allowed_networks": ["10.0.0.0/8", "10.0.0.0/33"]}, "allowed_networks[1]"),
        ({"name": "x", "mode": "live", "allowed_networks": ["example.com"]}, "allowed_networks[0]"),
        ({"name": "x", "mode": "live", "allowed_networks": ["10.0.0.0/8"] * 51}, "allowed_networks"),
        ({"name": "x", "mode": "live", "rate_limit": 0}, "rate_limit"),
        ({"name": "x", "mode": "live", "rate_limit": 10**30}, "rate_limit"),
        ({"name": "x", "mode": "live", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "mode": "live", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "mode": "live", "account": 1}, "account"),
        ({"name": "x", "mode": "live", "prefix": "aaaaaaaaaa"}, "prefix"),
        ({"name": "x", "mode": "live", "secret_hash": "0" * 64}, "secret_hash"),
        ({"name": "x", "mode": "live", "user": 1}, "user"),
    ],
)
def test_bad_input_names_its_field_and_makes_nothing(owner, body, field):
    answer = owner.ask("post", body=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == field
    assert ApiKey.objects.get() == owner.row


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"mode": "live"}),
        ("", {"revoked_at": None}),
        ("/rotate", {"overlap_hours": 169}),
        ("/rotate", {"x": 1}),
    ],
)
def test_nothing_but_the_changeable_is_changed(owner, path, body):
    before = ApiKey.objects.values().get()
    assert owner.ask("post" if path else "patch", f"/{owner.row.prefix}{path}", body).status_code == 400
    after = ApiKey.objects.values().get()
    assert {**before, "last_used_at": None} == {**after, "last_used_at": None}


@pytest.mark.parametrize("key_id", ["aaaaaaaaaa", "1", "%FF", "x" * 500, "🙂", "..%2f"])
def test_unknown_ids_are_404(owner, key_id):
    for method, path, body in (
        ("get", "", None),
        ("delete", "", None),
        ("patch", "", {"name": "x"}),
        ("post", "/rotate", {}),
    ):
        assert owner.ask(method, f"/{key_id}{path}", body).status_code == 404


def test_a_list_costs_the_same_queries_however_long_it_is(owner, django_assert_max_num_queries):
    membership = MembershipFactory(account=owner.row.account)
    owner.ask("get")
    for count in (1, 10):
        for _ in range(count):
            issue_api_key(issuer_for(membership), "Shop", Mode.LIVE)
        with django_assert_max_num_queries(2):
            assert len(owner.ask("get").json()["data"]["results"]) >= count


def test_expired_keys_say_so(client, owner):
    soon = timezone.now() + timedelta(hours=1)
    text = owner.ask("post", body={"name": "Shop", "mode": "live", "expires_at": soon.isoformat()}).json()["data"][
        "api_key"
    ]
    ApiKey.objects.filter(name="Shop").update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = client.get("/api/v1/sms/reports", headers={"X-API-Key": text})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "API_KEY_EXPIRED")


def test_refusals_say_nothing_of_which_ids_exist(client, owner):
    other = match_api_key(make_api_key()[1])
    bodies = set()
    for text in (f"sms_live_{other.prefix}_" + "a" * 49, "sms_live_aaaaaaaaaa_" + "a" * 49, "nonsense", "", "ü"):
        answer = client.get("/api/v1/sms/reports", headers={"X-API-Key": text})
        assert answer.status_code == 401
        bodies.add(str(answer.json()["error"]))
    assert len(bodies) == 1


def test_a_key_made_by_a_key_never_may_more(client):
    _, text = make_api_key(role=Role.ADMIN, scopes=[Scope.KEYS_WRITE, Scope.MESSAGES_READ])
    weak = Caller(client, text)
    assert weak.ask("post", body={"name": "x", "mode": "live"}).json()["data"]["scopes"] == ["messages:read"]
    answer = weak.ask("post", body={"name": "x", "mode": "live", "scopes": ["messages:send"]})
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, "scopes[0]")


def test_no_log_line_holds_a_key(client, owner, caplog):
    caplog.set_level("DEBUG")
    text = owner.ask("post", body={"name": "Shop", "mode": "live"}).json()["data"]["api_key"]
    client.get("/api/v1/sms/reports", headers={"X-API-Key": text + "x"})
    assert text[20:] not in caplog.text
