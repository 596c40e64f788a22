"""Delivery reports pushed by the real simulator over HTTP to a live server."""

import contextlib
import time
from functools import partial

import pytest
from django.db import connection

from messaging.choices import FactSource, Lane, MessageStatus
from messaging.gateways.registry import callback_token
from messaging.models import DeliveryReport, Message, ReportInbox
from messaging.outcomes import report_inbox
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from tests.support.factories import make_campaign

PATH = "/callbacks/simulator/{}"


@contextlib.contextmanager
def read_only():
    """A database that takes no more, as when its disk is full."""
    setting = "default_transaction_read_only = " if connection.vendor == "postgresql" else "PRAGMA query_only = "
    begin = "SET " if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{begin}{setting}on")
        yield
        cursor.execute(f"{begin}{setting}off")


@pytest.mark.postgresql  # on SQLite in memory the server's thread would write in the middle of our transactions
@pytest.mark.django_db(transaction=True)
def test_pushed_reports_deliver(simulator, settings, live_server, monkeypatch):
    monkeypatch.undo()
    settings.PUBLIC_URL = live_server.url
    make_campaign(count=5)
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    deadline = time.monotonic() + 10
    while Message.objects.exclude(status=MessageStatus.DELIVERED).exists() and time.monotonic() < deadline:
        simulator.flush()
        report_inbox.apply_waiting()
    assert set(Message.objects.values_list("status", flat=True)) == {MessageStatus.DELIVERED}
    assert set(DeliveryReport.objects.values_list("source", flat=True)) == {FactSource.PUSH}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH.format("guess"), b'{"results":[]}', 404),
        (PATH.format("t" * 40), b'{"results":[]}', 404),
        ("/callbacks/nobody/{token}", b'{"results":[]}', 404),
        ("/callbacks/simulator/{token}", b"<html>", 400),
        ("/callbacks/simulator/{token}", b"", 400),
        ("/callbacks/simulator/{token}", b'{"results":[{"messageId":7}]}', 200),
        ("/callbacks/simulator/{token}", b'{"results":[]}', 200),
    ],
)
def test_what_a_stranger_pushes(client, settings, path, body, status):
    settings.OWN_KEYS = settings.OWN_KEYS | {"callbacks": ("t" * 40, "")}
    answer = client.post(path.replace("{token}", callback_token("simulator")), body, content_type="application/json")
    assert answer.status_code == status
    assert ReportInbox.objects.exists() is (status == 200)


@pytest.mark.django_db
def test_a_push_passes_by_what_serves_people(client, settings):
    """It still has its request id, a known host and the headers that every answer has."""
    path, body = PATH.format(callback_token("simulator")), b'{"results":[]}'
    post = partial(client.post, path, body, content_type="application/json")
    answer = post(headers={"X-Request-Id": "abc-1"})
    assert (answer.status_code, answer.content) == (200, b"OK")
    assert answer.headers["X-Request-Id"] == "abc-1"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Length"] == "2"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert {"Vary", "Set-Cookie"}.isdisjoint(answer.headers)
    assert "Content-Security-Policy" in client.get("/accounts/sign-in/").headers
    assert post(headers={"Host": "elsewhere.example"}).status_code == 400
    assert client.get("/callbacks/nothing/here/at/all").status_code == 404
    assert ReportInbox.objects.count() == 1


@pytest.mark.django_db
def test_a_get_is_no_report(client, settings):
    assert client.get(PATH.format(callback_token("simulator"))).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_200_for_a_body_that_was_not_stored(client, settings):
    """The provider sends it again only if we do not say that we have it."""
    settings.OWN_KEYS = settings.OWN_KEYS | {"callbacks": ("t" * 40, "")}

    with read_only():
        answer = client.post(
            PATH.format(callback_token("simulator")), b'{"results":[]}', content_type="application/json"
        )
    assert answer.status_code == 503
    assert not ReportInbox.objects.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_costs_no_push(client, settings):
    """It is not tried before a push; the push finds out, and the provider is told 200 all the same."""
    settings.OWN_KEYS = settings.OWN_KEYS | {"callbacks": ("t" * 40, "")}
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [backend])
    other.close()
    answer = client.post(PATH.format(callback_token("simulator")), b'{"results":[]}', content_type="application/json")
    assert answer.status_code == 200
    assert ReportInbox.objects.count() == 1
