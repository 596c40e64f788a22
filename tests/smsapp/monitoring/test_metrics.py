"""`/metrics` and the health pages, as monitors read them."""

import secrets
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from accounts.choices import Mode
from reports.models import DailyStat
from smsapp import __version__
from smsapp.monitoring import health
from tests.support.factories import AccountFactory, make_api_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_counts(settings: Any, redis_client: Any) -> None:
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{secrets.token_hex(4)}"


def scrape(client: Client, **headers: str) -> dict[tuple[str, ...], float]:
    """Every sample as Prometheus reads it, by name and the values of its labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_messages_are_counted_by_status_without_those_of_test_keys(client: Client) -> None:
    account = AccountFactory()
    for mode, day in ((Mode.LIVE, "2026-06-01"), (Mode.LIVE, "2026-06-02"), (Mode.TEST, "2026-06-02")):
        DailyStat.objects.create(
            account=account, mode=mode, day=day, delivered=5, failed=1, sent=3, queued=2, segments=7
        )
    samples = scrape(client)
    assert samples["sms_messages_total", "delivered"] == 10
    assert samples["sms_messages_total", "failed"] == 2
    assert samples["sms_messages_total", "sent"] == 16, "delivered ones were sent, too: a counter never falls"
    assert samples["sms_messages_open", "sent"] == 6
    assert samples["sms_messages_open", "queued"] == 4
    assert ("sms_messages_total", "queued") not in samples
    assert samples["sms_segments_total",] == 14
    assert samples["app_info", __version__] == 1
    assert samples["sms_sending_held",] == 0
    assert samples["sms_broker_up",] == 1
    assert samples["sms_queue_depth", "singles"] == 0


def test_calls_are_counted_by_route_and_status(client: Client) -> None:
    key = make_api_key()[1]
    for _ in range(3):
        client.get("/api/v1/campaigns", headers={"X-API-Key": key})
    client.get("/api/v1/campaigns")
    client.generic("BREW", "/api/v1/campaigns")
    samples = scrape(client)
    assert samples["api_requests_total", "/api/v1/campaigns", "GET", "200"] == 3
    assert samples["api_requests_total", "/api/v1/campaigns", "GET", "401"] == 1
    assert samples["api_requests_total", "/api/v1/campaigns", "OTHER", "405"] == 1
    assert samples["api_request_seconds_total", "/api/v1/campaigns", "GET"] >= 0


def test_a_scrape_asks_the_same_queries_however_much_there_is(client: Client) -> None:
    with CaptureQueriesContext(connection) as few:
        scrape(client)
    account = AccountFactory()
    for day in range(1, 29):
        DailyStat.objects.create(account=account, mode=Mode.LIVE, day=f"2026-06-{day:02d}", sent=1)
    with CaptureQueriesContext(connection) as many:
        scrape(client)
    assert len(many) == len(few) <= 12


def test_with_a_token_nobody_else_reads(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "monitor"
    assert client.get("/metrics").status_code == 403
    assert client.get("/api/v1/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert scrape(client, Authorization="Bearer monitor")["app_info", __version__] == 1


def test_where_a_token_is_needed_nobody_reads_without_one(client: Client, settings: Any) -> None:
    settings.METRICS_NEED_TOKEN = True
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_monitors_ask_by_address_and_without_tls(client: Client, settings: Any, path: str) -> None:
    settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["sms.example.com"], True
    assert client.get(path, headers={"Host": "10.1.2.3:5001"}).status_code == 200
    assert client.post(path, headers={"Host": "10.1.2.3:5001"}).status_code == 405
    assert client.get("/accounts/sign-in/", headers={"Host": "10.1.2.3:5001"}).status_code in (301, 400)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/api/v1/health/live", "/api/v1/health/ready"])
def test_a_sound_installation_is_alive_and_ready(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "OK")


def test_tables_that_are_missing_make_it_alive_and_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", Event())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'reports'")
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
