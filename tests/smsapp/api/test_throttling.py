"""Rate limits as a caller meets them: headers on every answer, 429 with the time to wait, and nothing carried out."""

import re
import secrets
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign
from smsapp.core import rate_limits
from tests.support.factories import make_api_key

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SEND = "/api/v1/sms/send"
BODY = {"phone_numbers": ["+4915112345678"], "message": "Hello"}


@pytest.fixture(autouse=True)
def own_windows(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "_local", {})
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{secrets.token_hex(4)}"


def test_every_answer_tells_where_the_caller_stands(client: Client, settings: Any) -> None:
    settings.API_RATE_ACCOUNT = 50
    row, key = make_api_key()
    row.rate_limit = 10
    row.save()
    headers = {"X-API-Key": key}
    answer = client.get("/api/v1/campaigns", headers=headers)
    assert answer.status_code == 200
    assert '"key";q=10;w=60' in answer.headers["RateLimit-Policy"]
    assert '"account";q=50;w=60' in answer.headers["RateLimit-Policy"]
    assert re.search(r'"key";r=9;t=60\b', answer.headers["RateLimit"])
    assert answer.headers["X-RateLimit-Limit"] == "10"
    assert answer.headers["X-RateLimit-Remaining"] == "9"
    refused = client.post(SEND, {"message": 1}, content_type="application/json", headers=headers)
    assert refused.status_code == 400
    assert refused.headers["X-RateLimit-Remaining"] == "8"


def test_a_call_beyond_the_limit_is_429_and_not_carried_out(client: Client) -> None:
    row, key = make_api_key()
    row.rate_limit = 2
    row.save()
    headers = {"X-API-Key": key}
    for _ in range(2):
        assert client.post(SEND, BODY, content_type="application/json", headers=headers).status_code == 202
    answer = client.post(SEND, BODY, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) <= int(answer.headers["Retry-After"]) <= 61
    assert Campaign.objects.count() == 2


def test_two_keys_of_an_account_share_its_limit(client: Client, settings: Any) -> None:
    settings.API_RATE_ACCOUNT = 3
    first, key = make_api_key()
    _, other = make_api_key(account=first.account)
    stranger = make_api_key()[1]
    answers = [client.get("/api/v1/campaigns", headers={"X-API-Key": text}) for text in (key, other, key, other)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert client.get("/api/v1/campaigns", headers={"X-API-Key": stranger}).status_code == 200


def test_guessing_keys_ends_at_429_and_a_right_key_still_works(client: Client, settings: Any) -> None:
    settings.API_RATE_REFUSED = 5
    key = make_api_key()[1]
    guesses = [client.get("/api/v1/campaigns", headers={"X-API-Key": f"guess{n}"}).status_code for n in range(8)]
    assert guesses == [401] * 5 + [429] * 3
    assert client.get("/api/v1/campaigns", headers={"X-API-Key": key}).status_code == 200


def test_calls_without_a_key_are_limited_by_address(client: Client, settings: Any) -> None:
    settings.API_RATE_ADDRESS = 3
    assert [client.get("/api/v1/campaigns").status_code for _ in range(5)] == [401] * 3 + [429] * 2


def test_health_has_no_limit(client: Client, settings: Any) -> None:
    settings.API_RATE_ADDRESS = 1
    assert [client.get("/api/v1/health/live").status_code for _ in range(5)] == [200] * 5
