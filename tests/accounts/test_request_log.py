"""The request log: each call once, refused ones too, without bodies, and never in a call's way."""

import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from redis.exceptions import RedisError

from accounts import request_log
from accounts.models import ApiUsageLog
from tests.support.factories import make_api_key

pytestmark = pytest.mark.django_db
SEND = "/api/v1/sms/send"
BODY = {"phone_numbers": ["+4915112345678"], "message": "Secret text"}


@pytest.fixture(autouse=True)
def own_log(settings: Any, redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{secrets.token_hex(4)}"
    monkeypatch.setattr(request_log._lost, "until", 0.0)


def test_a_call_is_logged_with_everything_but_its_content(client: Client) -> None:
    row, key = make_api_key()
    headers = {"X-API-Key": key, "User-Agent": "shop/1.0", "X-Request-Id": "abc-1"}
    answer = client.post(f"{SEND}?", BODY, content_type="application/json", headers=headers)
    assert answer.status_code == 202
    assert not ApiUsageLog.objects.exists()
    assert request_log.store() == 1
    call = ApiUsageLog.objects.get()
    assert (call.account_id, call.user_id, call.mode) == (row.account_id, row.user_id, "live")
    assert (call.method, call.endpoint, call.status_code, call.error_code) == ("POST", SEND, 202, "")
    assert (call.ip_address, call.user_agent, call.request_id) == ("127.0.0.1", "shop/1.0", "abc-1")
    assert call.response_size == len(answer.content)
    assert call.request_size > 0
    assert "Secret" not in str(vars(call))
    assert "15112345678" not in str(vars(call))


def test_an_address_with_an_id_is_logged_as_its_route(client: Client) -> None:
    _, key = make_api_key()
    client.get("/api/v1/campaigns/bulk-nothing", headers={"X-API-Key": key})
    client.get("/api/v1/+4915112345678", headers={"X-API-Key": key})
    request_log.store()
    found = ApiUsageLog.objects.order_by("pk").values_list("endpoint", "status_code", "error_code")
    assert [endpoint.replace("{pk}", "{bulk_id}") for endpoint, *_ in found] == [
        "/api/v1/campaigns/{bulk_id}",
        "(no route)",
    ]
    assert [status for _, status, _ in found] == [404, 404]


def test_refused_calls_of_a_known_key_belong_to_its_account(client: Client) -> None:
    row, key = make_api_key()
    type(row).objects.update(revoked_at=timezone.now())
    assert client.get("/api/v1/campaigns", headers={"X-API-Key": key}).status_code == 401
    assert client.get("/api/v1/campaigns").status_code == 401
    request_log.store()
    known, unknown = ApiUsageLog.objects.order_by("pk")
    assert (known.account_id, known.status_code) == (row.account_id, 401)
    assert (unknown.account_id, unknown.error_code) == (None, "AUTHENTICATION_REQUIRED")


def test_a_call_costs_no_query(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        client.get("/api/v1/campaigns")


def test_many_calls_are_stored_in_a_fixed_number_of_queries(client: Client, django_assert_max_num_queries: Any) -> None:
    _, key = make_api_key()
    for _ in range(30):
        client.get("/api/v1/campaigns", headers={"X-API-Key": key})
    with django_assert_max_num_queries(6):
        assert request_log.store() == 30


def test_what_cannot_be_stored_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.get("/api/v1/campaigns")
    client.get("/api/v1/sms/reports")

    def away(calls: Any) -> int:
        raise OperationalError("away")

    with monkeypatch.context() as broken:
        broken.setattr(request_log, "_store", away)
        with pytest.raises(OperationalError):
            request_log.store()
    assert request_log.store() == 2
    assert list(ApiUsageLog.objects.order_by("pk").values_list("endpoint", flat=True)) == [
        "/api/v1/campaigns",
        "/api/v1/sms/reports",
    ]


def test_a_lost_redis_delays_one_call_and_breaks_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def away(name: str) -> Any:
        tries.append(name)
        raise RedisError("away")

    monkeypatch.setattr(request_log, "get_redis_connection", away)
    assert [client.get("/api/v1/campaigns").status_code for _ in range(3)] == [401] * 3
    assert len(tries) == 1


def test_old_calls_are_forgotten(client: Client, settings: Any) -> None:
    client.get("/api/v1/campaigns")
    client.get("/api/v1/campaigns")
    request_log.store()
    old = ApiUsageLog.objects.order_by("pk")[0]
    old.created_at = timezone.now() - timedelta(days=settings.API_USAGE_DAYS, seconds=5)
    old.save()
    assert request_log.purge(timezone.now()).removed == 1
    assert ApiUsageLog.objects.get() != old


def test_a_customer_reads_the_log_of_the_own_account_only(client: Client) -> None:
    _, key = make_api_key()
    _, other = make_api_key()
    client.get("/api/v1/campaigns/none", headers={"X-API-Key": key})
    client.get("/api/v1/campaigns", headers={"X-API-Key": other})
    request_log.store()
    data = client.get("/api/v1/account/requests", headers={"X-API-Key": key}).json()["data"]
    assert [call["status_code"] for call in data["results"]] == [404]
    only = client.get("/api/v1/account/requests?status_code=200", headers={"X-API-Key": key}).json()["data"]
    assert only["results"] == []
    wrong = client.get("/api/v1/account/requests?status_code=9999", headers={"X-API-Key": key})
    assert wrong.status_code == 400
