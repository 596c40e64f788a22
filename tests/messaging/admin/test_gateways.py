"""Credentials of a gateway go nowhere that whoever sends them there has not given them for; and nobody reads our own
network through the test of a gateway."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, User
from accounts.webhooks import destinations
from messaging.forms.gateways import EXAMPLE_RULES
from messaging.gateways.probe import send_trial
from messaging.models import Gateway
from tests.support.factories import UserFactory
from tests.support.servers.gateways import answering, raw_server

pytestmark = [pytest.mark.django_db, pytest.mark.once]

RULES = json.loads(EXAMPLE_RULES) | {"url": "https://8.8.8.8/messages"}
KINDS: dict[str, dict[str, Any]] = {
    "infobip": {"base_url": "https://8.8.8.8", "secrets": {"api_key": "stored-key"}},
    "twilio": {
        "base_url": "https://8.8.8.8",
        "secrets": {
            "account_sid": "AC" + "1" * 32,
            "auth_token": "stored-token",
            "key_sid": "SK" + "1" * 32,
            "key_secret": "x",
        },
    },
    "http": {"rules": RULES, "secrets": {"token": "stored-token"}},
}


def make(kind: str) -> Gateway:
    row = Gateway(name=f"own-{kind}", kind=kind, **{"rules": {}} | KINDS[kind])
    row.save()
    return row


def save(client: Client, row: Gateway, **changes: Any) -> Any:
    data = {"base_url": row.base_url, "rules": json.dumps(row.rules)}
    return client.post(reverse("admin:messaging_gateway_change", args=[row.pk]), data | changes)


@pytest.fixture
def operator(client: Client) -> User:
    """May do everything with gateways, and has not all rights."""
    person = UserFactory(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="messaging"))
    client.force_login(person)
    return person


ELSEWHERE = [
    ("infobip", {"base_url": "https://9.9.9.9"}),
    ("infobip", {"base_url": "http://8.8.8.8"}),
    ("twilio", {"base_url": "https://9.9.9.9"}),
    ("twilio", {"base_url": "https://9.9.9.9", "account_sid": "AC" + "2" * 32}),
    ("twilio", {"base_url": "https://9.9.9.9", "account_sid": "AC" + "2" * 32, "auth_token": "new"}),
    ("http", {"rules": json.dumps(RULES | {"url": "https://9.9.9.9/messages"})}),
    ("http", {"rules": json.dumps(RULES | {"headers": {"X-Token": "{token}"}})}),
    ("http", {"rules": json.dumps(RULES | {"body": {"recipient": "{to}", "content": "{token} {text}"}})}),
]


@pytest.mark.parametrize("who", ["operator", "superuser"])
@pytest.mark.parametrize(("kind", "changes"), ELSEWHERE)
def test_a_changed_address_needs_the_credentials_anew(
    client: Client, operator: User, admin_client: Client, who: str, kind: str, changes: dict[str, str]
) -> None:
    row = make(kind)
    page = save(client if who == "operator" else admin_client, row, **changes)
    assert page.status_code == 200
    assert "Give it again" in page.content.decode()
    kept = Gateway.objects.get(pk=row.pk)
    assert (kept.base_url, kept.rules, kept.credentials) == (row.base_url, row.rules, row.credentials)


@pytest.mark.parametrize(
    ("kind", "changes", "secrets"),
    [
        ("infobip", {"base_url": "https://9.9.9.9", "api_key": "new"}, {"api_key": "new"}),
        (
            "http",
            {"rules": json.dumps(RULES | {"url": "https://9.9.9.9/m"}), "other_credentials": "token=new"},
            {"token": "new"},
        ),
        ("infobip", {"rate": "5"}, {"api_key": "stored-key"}),
        ("http", {"rules": json.dumps(RULES | {"error_path": "why"})}, {"token": "stored-token"}),
    ],
)
def test_with_them_or_without_a_new_address_it_is_saved(
    client: Client, operator: User, kind: str, changes: dict[str, str], secrets: dict[str, str]
) -> None:
    row = make(kind)
    assert save(client, row, **changes).status_code == 302
    assert Gateway.objects.get(pk=row.pk).secrets == secrets


INSIDE = [
    "http://127.0.0.1:9/x",
    "http://169.254.169.254/latest",
    "https://10.0.0.1/",
    "http://[::1]/",
    "http://127.1/",
]


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_of_our_own_network_is_set_by_superusers_only(client: Client, operator: User, url: str) -> None:
    row = make("http")
    changes = {"rules": json.dumps(RULES | {"url": url}), "other_credentials": "token=new"}
    assert "not public" in save(client, row, **changes).content.decode()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert save(client, row, **changes).status_code == 302


class TestInside:
    """A server of our own network, which answers what only it knows."""

    @pytest.fixture
    def row(self) -> Any:
        with raw_server(answering(200, b'{"internal": "secret of the house"}')) as server:
            row = make("http")
            row.rules = RULES | {"url": f"{server.url}/metadata"}
            row.save()
            yield row

    def test_answers_superusers(self, row: Gateway) -> None:
        person = UserFactory(is_staff=True, is_superuser=True)
        assert "secret of the house" in send_trial(row, "+4915112000000", "x", "", person).answer

    def test_is_not_even_asked_for_others(self, row: Gateway) -> None:
        trial = send_trial(row, "+4915112000000", "x", "", UserFactory(is_staff=True))
        assert "secret of the house" not in str(trial)
        assert "only a superuser" in trial.outcome

    def test_answers_others_nothing_by_a_name_that_was_public_a_moment_before(
        self, row: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("messaging.gateways.probe.leads_inside", lambda url: False)
        trial = send_trial(row, "+4915112000000", "x", "", UserFactory(is_staff=True))
        assert "secret of the house" not in str(trial)
        assert AuditEvent.objects.filter(action="gateway.tried").exists()


def test_what_is_public() -> None:
    assert destinations.is_public("8.8.8.8")
    for address in ("", "nonsense", "127.0.0.1", "10.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254"):
        assert not destinations.is_public(address), address
