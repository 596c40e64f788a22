"""`POST /lookup`: verdicts without sending."""

from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign
from tests.support.factories import make_api_key
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def look_up(client: Client, body: object, key: str) -> Any:
    return client.post("/api/v1/lookup", body, content_type="application/json", headers={"X-API-Key": key})


def test_numbers_are_judged_in_their_order(client: Client) -> None:
    row, key = make_api_key()
    suppress(row.account, "+4915112345679", "STOP")
    body = {"phone_numbers": ["0151 12345678", "+49 151 12345679", "12", "+1 415 555 2671", "030 123456"]}
    answer = look_up(client, body, key)
    assert answer.status_code == 200
    numbers = answer.json()["data"]["numbers"]
    assert [(n["valid"], n["phone_number"], n["country"], n["opted_out"], n["reason"]) for n in numbers] == [
        (True, "+4915112345678", "DE", False, None),
        (True, "+4915112345679", "DE", True, None),
        (False, None, None, False, "invalid_number"),
        (True, "+14155552671", "US", False, None),
        (False, None, None, False, "not_mobile"),
    ]
    assert numbers[4]["message"]
    assert not Campaign.objects.exists()


def test_the_country_of_the_request_reads_national_numbers(client: Client) -> None:
    _, key = make_api_key()
    number = look_up(client, {"phone_numbers": ["07400 123456"], "country": "gb"}, key).json()["data"]["numbers"][0]
    assert number["phone_number"] == "+447400123456"


def test_a_text_is_counted_and_its_dear_characters_are_named(client: Client) -> None:
    _, key = make_api_key()
    text = look_up(client, {"message": "Hello – you\u200b" + "x" * 60}, key).json()["data"]["text"]
    assert (text["encoding"], text["segments"], text["length"]) == ("ucs2", 2, 72)
    assert text["unicode_characters"] == ["–", "\u200b"]
    assert text["invisible_characters"] == ["U+200B"]
    plain = look_up(client, {"message": "x" * 161}, key).json()["data"]["text"]
    assert (plain["encoding"], plain["segments"], plain["units_left"]) == ("gsm7", 2, 145)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone_numbers"),
        ({"phone_numbers": []}, "phone_numbers"),
        ({"phone_numbers": ["1"] * 1001}, "phone_numbers"),
        ({"phone_numbers": ["1"], "country": "XX"}, "country"),
        ({"message": ""}, "message"),
        ({"message": "a\x1bb"}, "message"),
        ({"phone_numbers": ["1" * 41]}, "phone_numbers[0]"),
        ({"phone_numbers": [1.5]}, None),
    ],
)
def test_a_wrong_request_names_its_field(client: Client, body: object, field: str | None) -> None:
    _, key = make_api_key()
    answer = look_up(client, body, key)
    if field is not None:
        assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, field)
    assert answer.status_code < 500


def test_a_thousand_numbers_cost_a_fixed_number_of_queries(client: Client, django_assert_max_num_queries: Any) -> None:
    row, key = make_api_key()
    suppress(row.account, "+4915112345679", "STOP")
    with django_assert_max_num_queries(7):
        look_up(client, {"phone_numbers": [f"+4915112{n:06d}" for n in range(1000)]}, key)
