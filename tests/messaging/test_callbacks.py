"""Delivery reports pushed by the real simulator over HTTP to a live server."""

import time

import pytest
from django.db import OperationalError, connection

from messaging import dispatch, inbox
from messaging.choices import FactSource, Lane, MessageStatus
from messaging.expansion import expand_ready
from messaging.models import DeliveryReport, Message, ReportInbox
from tests.factories import make_campaign

PATH = "/callbacks/simulator/{}"


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
        inbox.apply_waiting()
    assert set(Message.objects.values_list("status", flat=True)) == {MessageStatus.DELIVERED}
    assert set(DeliveryReport.objects.values_list("source", flat=True)) == {FactSource.PUSH}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PATH.format("guess"), b'{"results":[]}', 404),
        ("/callbacks/nobody/{token}", b'{"results":[]}', 404),
        ("/callbacks/simulator/{token}", b"<html>", 400),
        ("/callbacks/simulator/{token}", b"", 400),
        ("/callbacks/simulator/{token}", b'{"results":[{"messageId":7}]}', 200),
        ("/callbacks/simulator/{token}", b'{"results":[]}', 200),
    ],
)
def test_what_a_stranger_pushes(client, settings, path, body, status):
    settings.INFOBIP_CALLBACK_TOKEN = "t" * 40
    answer = client.post(path.replace("{token}", "t" * 40), body, content_type="application/json")
    assert answer.status_code == status
    assert ReportInbox.objects.exists() is (status == 200)


@pytest.mark.django_db
def test_a_get_is_no_report(client, settings):
    assert client.get(PATH.format(settings.INFOBIP_CALLBACK_TOKEN)).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_200_for_a_body_that_was_not_stored(client, settings):
    """The provider sends it again only if we do not say that we have it."""
    settings.INFOBIP_CALLBACK_TOKEN = "t" * 40

    def refuse(execute, sql, params, many, context):
        if "messaging_reportinbox" in sql:
            raise OperationalError("disk full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        answer = client.post(PATH.format("t" * 40), b'{"results":[]}', content_type="application/json")
    assert answer.status_code == 503
    assert not ReportInbox.objects.exists()
