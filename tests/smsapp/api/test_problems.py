"""One answer names everything that is wrong with a request: what is unknown, missing, misshapen, and what makes no
sense."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.choices import Mode
from accounts.models import SenderId
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from smsapp.api.openapi.pages import DocumentView, JsonRenderer
from tests.support.api import resolved
from tests.support.api_routes import ROUTES, Things, filled, of_key, value_in
from tests.support.factories import make_api_key, phones
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]

UNKNOWN = {"unheard_of": 1, "nor_this": [2]}
WRONG = {"a": {"b": {}}}  # a value that no field takes
PAST = "2020-01-01T00:00:00Z"


class Asker:
    def __init__(self, client: Client, things: Things | None = None) -> None:
        self.client, self.things = client, things or Things()
        self.headers = of_key(self.things.member)

    def problems(self, method: str, path: str, body: Any) -> dict[str, str]:
        """Code by field; refused, whatever the status."""
        where = f"/api/v1/{filled(path, value_in(self.things, path))}"
        answer = self.client.generic(
            method, where, JsonRenderer().render(body), content_type="application/json", headers=self.headers
        )
        assert 400 <= answer.status_code < 500, answer.content
        details = answer.json()["error"]["details"]
        assert details["errors"][0]["field"] == details["field"], (method, path)
        assert all(set(one) == {"field", "code", "message", "value"} for one in details["errors"])
        return {one["field"]: one["code"] for one in details["errors"]}

    def query_problems(self, method: str, path: str, query: str) -> dict[str, str]:
        """Code by parameter; 400."""
        where = f"/api/v1/{filled(path, value_in(self.things, path))}?{query}"
        answer = self.client.generic(method, where, "{}", content_type="application/json", headers=self.headers)
        assert answer.status_code == 400, (method, where, answer.content)
        return {one["field"]: one["code"] for one in answer.json()["error"]["details"]["errors"]}

    def roots(self, method: str, path: str, body: Any) -> set[str]:
        return {field.partition("[")[0].partition(".")[0] for field in self.problems(method, path, body)}


@pytest.fixture
def ask(client: Client) -> Asker:
    return Asker(client)


def bodies() -> dict[tuple[str, str], Any]:
    """The schema of the body of every operation that takes JSON, by method and path."""
    schema = json.loads(DocumentView._document(JsonRenderer()).body)
    found = {}
    for method, path in ROUTES:
        operation = schema["paths"].get(f"/api/v1/{path}", {}).get(method.lower(), {})
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            found[method, path] = resolved(schema, content["schema"])
    return found


def test_every_misshapen_and_unknown_field_is_named_everywhere(ask: Asker) -> None:
    walked = bodies()
    assert len(walked) > 20
    for (method, path), schema in walked.items():
        names = set(schema["properties"])
        found = ask.roots(method, path, dict.fromkeys(names, WRONG) | UNKNOWN)
        assert found == names | set(UNKNOWN), (method, path)


def test_every_missing_and_unknown_field_is_named_everywhere(ask: Asker) -> None:
    for (method, path), schema in bodies().items():
        found = ask.roots(method, path, UNKNOWN)
        assert found >= set(schema.get("required", ())) | set(UNKNOWN), (method, path)


@pytest.mark.parametrize("path", ["sms/bulk", "recurring-campaigns"])
def test_what_may_be_given_in_several_ways_is_named_where_it_is_not_given(ask: Asker, path: str) -> None:
    assert ask.roots("POST", path, UNKNOWN) == {"message", "phone_numbers"} | set(UNKNOWN)
    both = {"message": "Hi", "template_id": "tpl-1", "list_id": "lst-1", "phone_numbers": phones(1)}
    assert ask.roots("POST", path, both) == {"template_id", "phone_numbers"}


def test_calls_that_take_no_field_name_all_that_they_are_given(ask: Asker) -> None:
    without = [route for route in ROUTES if route[0] == "POST" and route not in bodies() and ROUTES[route].scope]
    assert len(without) > 10
    for method, path in without:
        if path != "files/upload":
            assert ask.roots(method, path, UNKNOWN) == set(UNKNOWN), path


OF_AN_ACCOUNT = [route for route, row in ROUTES.items() if row.scope] + [
    route for route in ROUTES if route[1].startswith("auth/")
]


def parameters() -> dict[tuple[str, str], dict[str, Any]]:
    """Schemas of query parameters by name, of every operation that has some."""
    schema = json.loads(DocumentView._document(JsonRenderer()).body)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for method, path in OF_AN_ACCOUNT:
        for part in schema["paths"][f"/api/v1/{path}"][method.lower()]["parameters"]:
            if part.get("in") == "query":
                found.setdefault((method, path), {})[part["name"]] = part["schema"]
    return found


def test_every_unknown_parameter_is_named_everywhere(ask: Asker) -> None:
    for method, path in OF_AN_ACCOUNT:
        found = ask.query_problems(method, path, "nobody_knows=1&limits=2&nobody_knows=3")
        assert found == {"nobody_knows": "UNKNOWN", "limits": "UNKNOWN"}, (method, path)


def test_every_wrong_parameter_is_named_everywhere(ask: Asker) -> None:
    assert len(parameters()) > 15
    for (method, path), schemas in parameters().items():
        wrong = {name for name, schema in schemas.items() if set(schema) - {"type", "minLength", "pattern"}}
        wrong |= {"cursor", "phone_number"} & set(schemas)
        found = ask.query_problems(method, path, "&".join(f"{name}=x" for name in wrong) + "&limits=2")
        assert set(found) == wrong | {"limits"}, (method, path)


def test_an_empty_parameter_is_refused_everywhere(ask: Asker) -> None:
    for (method, path), schemas in parameters().items():
        found = ask.query_problems(method, path, "&".join(f"{name}=" for name in schemas))
        assert found == dict.fromkeys(schemas, "BLANK"), (method, path)


def test_a_parameter_that_stands_twice_is_refused(ask: Asker) -> None:
    assert ask.query_problems("GET", "messages", "limit=1&limit=2&status=SENT&status=SENT") == {
        "limit": "INVALID",
        "status": "INVALID",
    }


def test_a_field_or_parameter_without_a_name_is_named_by_its_quotes(ask: Asker) -> None:
    body = {"phone_numbers": phones(1), "message": "Hello", "": 1}
    assert ask.problems("POST", "sms/send", body) == {'""': "UNKNOWN"}
    assert ask.query_problems("GET", "messages", "=1") == {'""': "UNKNOWN"}


def test_a_form_is_chosen_where_there_are_several_and_nowhere_else(ask: Asker) -> None:
    assert ask.query_problems("GET", "messages", "format=json") == {"format": "UNKNOWN"}
    assert ask.query_problems("GET", "schema", "format=xml") == {"format": "NOT_A_CHOICE"}


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "BLANK"), (" \n", "BLANK"), ("a\x00", "CONTROL_CHARACTERS"), ("a\x07", "CONTROL_CHARACTERS")],
)
def test_the_same_is_wrong_with_a_text_wherever_it_is_given(ask: Asker, text: str, code: str) -> None:
    for path in ("sms/send", "sms/bulk", "lookup", "templates"):
        body = {"name": "Hello"} if path == "templates" else {"phone_numbers": phones(1)}
        assert ask.problems("POST", path, body | {"message": text}) == {"message": code}, path


@pytest.mark.parametrize("path", ["campaigns", "sms/bulk", "recurring-campaigns", "lookup"])
def test_none_of_those_of_which_one_must_be_given_is_missing(ask: Asker, path: str) -> None:
    found = ask.problems("POST", path, {"name": "Spring"} if path != "lookup" else {})
    assert set(found.values()) == {"REQUIRED"}, found


def test_types_are_named_in_words_of_json(ask: Asker) -> None:
    for path, body, words in (
        ("sms/send", {"phone_numbers": phones(1)[0], "message": "Hello"}, "This must be a list."),
        ("contact-lists/{list_id}/contacts", {"phone_number": phones(1)[0], "values": []}, "This must be an object."),
    ):
        where = f"/api/v1/{filled(path, value_in(ask.things, path))}"
        answer = ask.client.post(where, body, content_type="application/json", headers=ask.headers)
        assert answer.json()["error"]["message"] == words


def test_other_names_of_both_fields_are_named_with_the_missing_ones(ask: Asker) -> None:
    assert ask.problems("POST", "sms/send", {"to": phones(1), "text": "Hello"}) == {
        "text": "UNKNOWN",
        "to": "UNKNOWN",
        "message": "REQUIRED",
        "phone_numbers": "REQUIRED",
    }


def test_the_customers_own_example_is_told_everything(ask: Asker) -> None:
    example = {
        "phone_numbers": ["+1234567890", "+1987654321"],
        "message": "Hello, this is a test message",
        "sender_id": "YourBrand",
        "schedule_time": "2024-06-17T18:00:00Z",
        "callback_url": "https://127.0.0.1/webhook",
    }
    assert list(ask.problems("POST", "sms/send", example)) == [
        "phone_numbers[0]",
        "phone_numbers[1]",
        "sender_id",
        "schedule_time",
        "callback_url",
    ]
    with_key = {**ask.headers, "Idempotency-Key": "one"}
    answer = ask.client.post("/api/v1/sms/send", example, content_type="application/json", headers=with_key)
    assert len(answer.json()["error"]["details"]["errors"]) == 5
    assert not Campaign.objects.exists()


def test_numbers_that_are_refused_for_different_reasons_are_all_named(ask: Asker, settings: Any) -> None:
    account = ask.things.account
    type(account).objects.filter(pk=account.pk).update(allowed_countries="DE")
    suppress(account, phones(1)[0], "by phone")
    body = {"phone_numbers": ["banana", phones(1)[0], "+12125550100", phones(2)[1]], "message": "Hello"}
    assert set(ask.problems("POST", "sms/send", body)) == {"phone_numbers[0]", "phone_numbers[1]", "phone_numbers[2]"}


SENSELESS: list[tuple[str, str, dict[str, Any], set[str]]] = [
    (
        "POST",
        "sms/send",
        {
            "phone_numbers": ["1", "x"],
            "message": "x" * 1601,
            "sender_id": "Nobody",
            "schedule_time": PAST,
            "valid_until": PAST,
            "callback_url": "https://10.0.0.1/",
        },
        {"phone_numbers", "message", "sender_id", "schedule_time", "valid_until", "callback_url"},
    ),
    (
        "POST",
        "sms/bulk",
        {
            "phone_numbers": ["1", "x"],
            "message": "a\0",
            "sender_id": "Nobody",
            "schedule_time": PAST,
            "quiet_from": "21:00",
            "canary_size": 5,
            "canary_percent": 5,
        },
        {"phone_numbers", "message", "sender_id", "schedule_time", "quiet_until", "canary_percent"},
    ),
    (
        "POST",
        "campaigns",
        {"phone_numbers": ["1"], "message": " ", "sender_id": "N", "valid_until": PAST},
        {"phone_numbers", "message", "sender_id", "valid_until"},
    ),
    (
        "PATCH",
        "campaigns/{bulk_id}",
        {"message": " ", "sender_id": "Nobody", "schedule_time": PAST},
        {"message", "sender_id", "schedule_time"},
    ),
    (
        "POST",
        "recurring-campaigns",
        {"phone_numbers": ["1"], "message": " ", "sender_id": "Nobody", "every": "week"},
        {"phone_numbers", "message", "sender_id", "weekdays"},
    ),
    ("POST", "templates", {"name": "N", "message": "a\tb\x01"}, {"message"}),
    ("POST", "lookup", {"country": "XX", "message": "\0"}, {"country", "message"}),
    ("POST", "contact-lists/{list_id}/contacts", {"phone_number": "1"}, {"phone_number"}),
    ("POST", "suppressions", {"phone_number": "1"}, {"phone_number"}),
    ("POST", "senders", {"sender_id": "TwelveLetter"}, {"sender_id"}),
    ("POST", "webhooks", {"url": "ftp://x"}, {"url"}),
    ("PATCH", "webhooks/{endpoint_id}", {"url": "ftp://x"}, {"url"}),
    (
        "POST",
        "api-keys",
        {"name": "N", "mode": "live", "allowed_networks": ["x"], "expires_at": PAST},
        {"allowed_networks", "expires_at"},
    ),
    ("PATCH", "api-keys/{key_id}", {"allowed_networks": ["x"], "expires_at": PAST}, {"allowed_networks", "expires_at"}),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"), SENSELESS, ids=[f"{row[0]} {row[1]}" for row in SENSELESS]
)
def test_what_makes_no_sense_is_named_with_what_is_misshapen(
    ask: Asker, method: str, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    if path.startswith("campaigns/"):
        Campaign.objects.filter(pk=ask.things.campaign.pk).update(status=CampaignStatus.DRAFT)
    assert ask.roots(method, path, body | UNKNOWN) == fields | set(UNKNOWN)
    assert ask.roots(method, path, body) == fields


def test_thousands_of_wrong_numbers_leave_room_for_what_else_is_wrong(ask: Asker) -> None:
    body = {"phone_numbers": ["x"] * 5000, "message": " ", "sender_id": "Nobody"}
    found = ask.problems("POST", "sms/bulk", body)
    assert len(found) == 100 + 2
    assert {"message", "sender_id"} <= set(found)


@pytest.mark.parametrize(
    ("status", "words"),
    [(None, "POST /api/v1/senders"), ("pending", "waits for the approval"), ("rejected", "has rejected")],
)
def test_a_sender_that_is_not_allowed_is_told_how_to_get_one(client: Client, status: Any, words: str) -> None:
    row, key = make_api_key(mode=Mode.LIVE)
    if status:
        SenderId.objects.create(account=row.account, value="Brand", kind="alphanumeric", status=status)
    body = {"phone_numbers": phones(1), "message": "Hello", "sender_id": "Brand"}
    answer = client.post("/api/v1/sms/send", body, content_type="application/json", headers={"X-API-Key": key})
    error = answer.json()["error"]
    assert error["code"] == "SENDER_NOT_ALLOWED"
    assert words in error["message"]
    assert "Brand" in error["message"]


def test_secrets_are_never_shown_back(client: Client) -> None:
    body = {"username": 1, "password": "hunter2hunter2", "account_id": "x", **UNKNOWN}
    answer = client.post("/api/v1/auth/token", body, content_type="application/json")
    assert answer.status_code == 400
    assert "hunter2" not in answer.content.decode()
