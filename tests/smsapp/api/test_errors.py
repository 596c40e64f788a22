"""Every failure in the envelope, whatever fails."""

import errno
import logging
import uuid
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from rest_framework.exceptions import ErrorDetail

from campaigns.models import Campaign
from smsapp.api.serializers import MOST_NAMED
from tests.support.api import failure_of
from tests.support.api_routes import ROUTES, filled, nothing
from tests.support.factories import make_api_key

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SEND = "/api/v1/sms/send"
BODY = {"phone_numbers": ["+4915112345678"], "message": "Hello"}


@pytest.fixture
def key() -> str:
    return make_api_key()[1]


@pytest.fixture
def post(client, key):
    def post(body, path=SEND, content_type="application/json", **headers):
        return client.post(path, body, content_type=content_type, headers={"X-API-Key": key, **headers})

    return post


def test_no_key(client):
    failure_of(client.post(SEND, BODY, content_type="application/json"), 401, "AUTHENTICATION_REQUIRED")


@pytest.mark.parametrize("text", ["", "x", "sms_live_aaaaaaaaaa_" + "b" * 43, "sms_live_\u00e9"])
def test_a_wrong_key(client, text):
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": text})
    failure_of(answer, 401, "INVALID_CREDENTIALS")
    assert not Campaign.objects.exists()


def test_a_revoked_key(client):
    row, key = make_api_key()
    type(row).objects.update(revoked_at=row.created_at)
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    failure_of(answer, 401, "API_KEY_REVOKED")


def test_an_address_that_is_none(client, key):
    failure_of(client.get("/api/v1/nothing"), 404, "NOT_FOUND")
    failure_of(client.get("/api/v1/campaigns/bulk-nope", headers={"X-API-Key": key}), 404, "NOT_FOUND")


def test_a_method_that_is_none(client, key):
    failure_of(client.get(SEND, headers={"X-API-Key": key}), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "given", "wanted"),
    [
        (SEND, "application/x-www-form-urlencoded", "application/json"),
        (SEND, "application/json; charset=latin-1", "application/json in UTF-8"),
        ("/api/v1/files/upload", "application/json", "multipart/form-data"),
    ],
)
def test_another_content_type_is_told_which_one_is_meant(post, path, given, wanted):
    error = failure_of(post("x", path, given), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert error["message"] == f"Send the body as {wanted}, not as {given}."


def test_who_does_not_accept_json_is_told_that_answers_are(client, key):
    answer = client.get("/api/v1/messages", headers={"X-API-Key": key, "Accept": "application/xml"})
    assert failure_of(answer, 406, "NOT_ACCEPTABLE")["message"] == "The answer is application/json: accept that."


@pytest.mark.parametrize(
    "body",
    [
        "{",
        r'{"message": "a\ud800b"}',
        "[]",
        '"x"',
        "null",
        "\ufeff{}",
        '{"message": NaN}',
        '{"a":1,"a":2}',
        "[" * 100_000,
        b"\xff\xfe{",
    ],
)
def test_what_is_no_json_object(post, body):
    failure_of(post(body), 400, "INVALID_JSON")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"a": ' + b"9" * 5000 + b"}", "a number is too large"),
        (b'{"a": "\xe4"}', "byte 7 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
    ],
)
def test_what_is_wrong_with_json_is_said_without_words_of_a_programming_language(post, body, words):
    assert failure_of(post(body), 400, "INVALID_JSON")["message"] == f"The body is not valid JSON: {words}"


def test_a_body_over_the_limit(post):
    failure_of(post(b" " * (4 * 1024 * 1024 + 1)), 413, "PAYLOAD_TOO_LARGE")


WRONG = [
    ({"phone_numbers": "+4915112345678"}, "phone_numbers", "VALIDATION_ERROR"),
    ({"phone_numbers": []}, "phone_numbers", "VALIDATION_ERROR"),
    ({"phone_numbers": None}, "phone_numbers", "VALIDATION_ERROR"),
    ({"phone_numbers": [{"a": 1}]}, "phone_numbers[0]", "VALIDATION_ERROR"),
    ({"phone_numbers": ["+4915112345678", "banana"]}, "phone_numbers[1]", "VALIDATION_ERROR"),
    ({"phone_numbers": ["+4915112345678", "0151 12345678"]}, "phone_numbers[1]", "VALIDATION_ERROR"),
    ({"phone_numbers": [f"+49151{n:08d}" for n in range(12000000, 12000101)]}, "phone_numbers", "TOO_MANY_RECIPIENTS"),
    ({"message": ""}, "message", "VALIDATION_ERROR"),
    ({"message": "   "}, "message", "VALIDATION_ERROR"),
    ({"message": "x" * 1601}, "message", "MESSAGE_TOO_LONG"),
    ({"message": "a\x00b"}, "message", "VALIDATION_ERROR"),
    ({"message": 7}, None, None),
    ({"sender_id": "Nobody"}, "sender_id", "SENDER_NOT_ALLOWED"),
    ({"sender_id": "TwelveLetter"}, "sender_id", "VALIDATION_ERROR"),
    ({"sender_id": "a\r\nb"}, "sender_id", "VALIDATION_ERROR"),
    ({"schedule_time": "2020-01-01T00:00:00Z"}, "schedule_time", "SCHEDULE_IN_PAST"),
    ({"schedule_time": "tomorrow"}, "schedule_time", "VALIDATION_ERROR"),
    ({"schedule_time": "2027-01-01"}, "schedule_time", "VALIDATION_ERROR"),
    ({"schedule_time": "2027-01-01T10:00:00"}, "schedule_time", "VALIDATION_ERROR"),
    ({"schedule_time": "9999-12-31T23:59:59Z"}, "schedule_time", "VALIDATION_ERROR"),
    ({"callback_url": "javascript:alert(1)"}, "callback_url", "VALIDATION_ERROR"),
    ({"unheard_of": 1}, "unheard_of", "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("change", "field", "code"), WRONG)
def test_a_wrong_field_is_named_and_nothing_is_accepted(post, change, field, code):
    answer = post(BODY | change)
    if code is None:
        assert answer.status_code in (202, 400)
        return
    error = failure_of(answer, 422 if code not in ("VALIDATION_ERROR",) else 400, code)
    assert error["details"]["field"] == field
    assert "value" in error["details"]
    assert not Campaign.objects.exists()


def test_a_missing_field(post):
    error = failure_of(post({"message": "x"}), 400, "VALIDATION_ERROR")
    assert error["details"]["field"] == "phone_numbers"


def test_all_wrong_numbers_are_listed(post):
    error = failure_of(post(BODY | {"phone_numbers": ["1", "x", "+4915112345678"]}), 400, "VALIDATION_ERROR")
    assert [problem["field"] for problem in error["details"]["errors"]] == ["phone_numbers[0]", "phone_numbers[1]"]


def test_a_held_account(client):
    row, key = make_api_key()
    type(row.account).objects.update(is_active=False)
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    failure_of(answer, 403, "ACCOUNT_SUSPENDED")


def test_a_defect_of_ours_shows_nothing_of_itself(client, key, monkeypatch, caplog):
    monkeypatch.setattr("messaging.services.send", lambda *args: 1 / 0)
    caplog.set_level(logging.CRITICAL)
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    error = failure_of(answer, 500, "INTERNAL_ERROR")
    assert "division" not in str(error)


@pytest.mark.parametrize("outage", [OperationalError("connection refused"), OSError(errno.ENOSPC, "No space left")])
def test_a_database_that_is_away_or_a_full_disk_asks_to_come_again(client, key, monkeypatch, outage):
    def away(*args):
        raise outage

    monkeypatch.setattr("messaging.services.send", away)
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    failure_of(answer, 503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.postgresql
def test_a_read_only_database_asks_to_come_again(client, key):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    failure_of(answer, 503, "SERVICE_UNAVAILABLE")


def test_the_request_id_is_returned_and_forged_ones_are_not(client):
    assert client.get("/api/v1/health", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    answer = client.get("/api/v1/health", headers={"X-Request-Id": "a b\n"})
    assert uuid.UUID(answer.headers["X-Request-Id"])
    assert answer.json()["metadata"]["request_id"] == answer.headers["X-Request-Id"]


def test_health_is_open_and_at_the_root_too(client):
    for path in ("/health", "/api/v1/health"):
        body = client.get(path).json()
        assert (body["success"], body["data"]["database"]) == (True, "ok")


def test_the_schema_is_valid_and_without_a_warning(tmp_path):
    call_command("spectacular", file=str(tmp_path / "schema.yml"), validate=True, fail_on_warn=True)
    assert (tmp_path / "schema.yml").stat().st_size > 10_000


def test_the_schema_names_every_path(client):
    schema = client.get("/api/v1/schema?format=json").json()
    assert schema["openapi"].startswith("3.1")
    assert {"/api/v1/sms/send", "/api/v1/sms/bulk", "/api/v1/files/upload"} <= set(schema["paths"])
    assert client.get("/api/v1/docs").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "campaigns/%00",
        "campaigns/a%00b",
        "uploads/%00",
        "uploads/%00/errors",
        "sms/reports?bulk_id=%00",
        "sms/reports?bogus=1",
        "campaigns?bogus=1",
        "campaigns?limit=0",
        "campaigns?limit=abc",
    ],
)
def test_an_address_or_query_that_makes_no_sense(client, key, path):
    failure_of(client.get(f"/api/v1/{path}", headers={"X-API-Key": key}), 400, "VALIDATION_ERROR")


def test_a_key_may_not_more_than_its_owner(client):
    row, key = make_api_key()
    row.user.memberships.update(role="viewer")
    answer = client.post(SEND, BODY, content_type="application/json", headers={"X-API-Key": key})
    failure_of(answer, 403, "PERMISSION_DENIED")
    assert client.get("/api/v1/campaigns", headers={"X-API-Key": key}).status_code == 200


@pytest.mark.django_db
def test_of_very_many_unknown_fields_some_are_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes REST framework a while: a body of a mebibyte held a thread for seconds, asked by nobody we know."""
    made = []
    monkeypatch.setattr(
        "smsapp.api.serializers.ErrorDetail", lambda text, code: made.append(code) or ErrorDetail(text, code)
    )
    body = {f"field_{n:04d}": 1 for n in range(5000)}
    answer = client.post("/api/v1/auth/token", body, content_type="application/json")
    assert answer.status_code == 400
    assert "field_0000" in answer.content.decode()
    assert made == ["unknown"] * MOST_NAMED


# --- Where something belongs ------------------------------------------------------------------------------


def message_of(answer: Any, status: int, code: str) -> str:
    return str(failure_of(answer, status, code)["message"])


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer {key}"),
        ("Authorization", "bearer  {key}"),
        ("X-API-Key", "Bearer {key}"),
        ("X-API-Key", "eyJhbGciOiJIUzI1NiJ9.e30.x"),
    ],
)
def test_a_key_or_token_in_the_wrong_place_is_told_where_it_belongs(client, key, header, value):
    answer = client.get("/api/v1/messages", headers={header: value.format(key=key)})
    words = message_of(answer, 401, "INVALID_CREDENTIALS")
    assert "`X-API-Key: sms_…`" in words
    assert "`Authorization: Bearer …`" in words
    assert key not in answer.content.decode()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "sms_live_x"}])
def test_a_call_without_credentials_is_told_how_they_are_sent(client, headers):
    words = message_of(client.get("/api/v1/messages", headers=headers), 401, "AUTHENTICATION_REQUIRED")
    assert "`X-API-Key: sms_…`" in words


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/api/sms/send", "/api/v1/sms/send"),
        ("/api/sms/send/", "/api/v1/sms/send"),
        ("/api/v1/sms/send/", "/api/v1/sms/send"),
        ("/api/v1/messages/x/", "/api/v1/messages/x"),
    ],
)
def test_an_address_that_is_almost_one_is_told_the_right_one(client, post, path, meant):
    for answer in (client.get(path), post(BODY, path=path)):
        assert message_of(answer, 404, "NOT_FOUND") == f"There is nothing at this address. Did you mean {meant}?"
    assert not Campaign.objects.exists()


def test_an_address_that_is_like_none_gets_no_advice(client):
    for path in ("/api/sms/sent", "/api/v1/sms", "/api/v2/sms/send"):
        assert message_of(client.get(path), 404, "NOT_FOUND") == "There is nothing at this address."


@pytest.mark.parametrize("path", ["/api/", "/api/v1", "/api/v1/"])
def test_the_top_of_the_api_leads_to_its_documentation(client, path):
    words = "There is nothing at this address. The documentation is at /api/v1/docs."
    assert message_of(client.get(path), 404, "NOT_FOUND") == words


@pytest.mark.parametrize("path", ["/api/v1/messages", "/api/v1/health", "/send/"])
def test_another_host_name_is_named_as_what_is_wrong(client, key, path):
    answer = client.get(path, headers={"Host": "elsewhere.example.com", "X-API-Key": key})
    assert answer.status_code == 400
    assert "host name" in answer.content.decode()
    if path.startswith("/api/"):
        assert "ALLOWED_HOSTS" in message_of(answer, 400, "VALIDATION_ERROR")


def test_an_address_with_a_nul_says_so(client):
    assert "NUL" in message_of(client.get("/api/v1/messages?bulk_id=%00"), 400, "VALIDATION_ERROR")


def test_options_are_the_same_for_everybody_and_everywhere(client, key):
    answers = set()
    for method, path in ROUTES:
        address = f"/api/v1/{filled(path, nothing)}"
        for headers in ({}, {"X-API-Key": key}, {"X-API-Key": "wrong"}):
            answer = client.options(address, headers=headers)
            assert method in answer.headers["Allow"].split(", "), path
            assert client.generic("TRACE", address).status_code == 405
            answers.add((answer.status_code, answer.content, "OPTIONS" in answer.headers["Allow"]))
    assert answers == {(204, b"", True)}
    assert client.options("/api/v1/sms/send").headers["Allow"] == "POST, OPTIONS"
    assert client.options("/api/v1/messages").headers["Allow"] == "GET, HEAD, OPTIONS"
    failure_of(client.options("/api/v1/nothing"), 404, "NOT_FOUND")


def test_a_tab_is_a_blank(post):
    answer = post(BODY | {"message": "a\tb"})
    assert answer.status_code == 202
    assert Campaign.objects.get().message == "a b"


def test_a_number_that_is_none_is_answered_as_the_customers_contract_says(post):
    error = failure_of(post(BODY | {"phone_numbers": ["invalid-number"]}), 400, "VALIDATION_ERROR")
    details = error["details"]
    assert (details["field"], details["value"], details["code"]) == (
        "phone_numbers[0]",
        "invalid-number",
        "NOT_A_NUMBER",
    )
    late = failure_of(post(BODY | {"schedule_time": "2024-06-17T20:00:00+02:00"}), 422, "SCHEDULE_IN_PAST")
    assert late["details"]["value"] == "2024-06-17T18:00:00Z"


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_options_tell_nothing_that_classes_say_to_programmers(client, path):
    failure_of(client.options(path), 405, "METHOD_NOT_ALLOWED")
