"""`sms/reports`: every delivery report once, whatever became of its message afterwards."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign
from messaging.choices import FactSource, MessageStatus
from messaging.gateways.base import Report
from messaging.models import Message
from messaging.outcomes import settlement
from messaging.sending.expansion import expand_ready
from reports.selectors import delivery_reports, message_search
from reports.selectors.delivery_reports import REPORTED
from tests.support.factories import make_api_key, make_campaign, phones

pytestmark = [pytest.mark.django_db, pytest.mark.once]
Read = Callable[[str], Any]


@pytest.fixture
def key() -> Any:
    return make_api_key()


@pytest.fixture
def read(client: Client, key: Any) -> Read:
    def read(address: str) -> Any:
        where = address if address.startswith("http") else f"/api/v1/{address}"
        answer = client.get(where, headers={"X-API-Key": key[1]})
        return answer.json()["data"] if answer.status_code == 200 else answer.status_code

    return read


def walked(read: Read, address: str) -> list[str]:
    """Ids of the messages of all pages."""
    page = read(address)
    found = [row["message_id"] for row in page["results"]]
    while page["next"]:
        page = read(page["next"])
        found += [row["message_id"] for row in page["results"]]
    return found


def made(account: Account, count: int) -> list[Message]:
    """Messages of a campaign, oldest first."""
    campaign = make_campaign(account, count)
    while expand_ready():
        pass
    return list(Message.objects.filter(campaign=campaign).order_by("id"))


def report(messages: list[Message], *statuses: MessageStatus) -> None:
    for status in statuses:
        told = [Report(message.message_id, status) for message in messages]
        settlement.apply(settlement.facts_from(told, FactSource.PUSH)[0])


def test_a_batch_of_nothing_but_unconfirmed_messages_keeps_its_reports(read: Read, key: Any) -> None:
    messages = made(key[0].account, 2)
    report(messages, MessageStatus.SENT, MessageStatus.UNCONFIRMED)
    assert set(Message.objects.values_list("status", flat=True)) == {MessageStatus.UNCONFIRMED}
    ids = [message.message_id for message in reversed(messages)]
    assert walked(read, "sms/reports?status=SENT") == walked(read, "sms/reports?status=UNCONFIRMED") == ids


def test_a_status_that_no_report_has_is_no_filter(read: Read) -> None:
    for status in MessageStatus:
        assert (read(f"sms/reports?status={status.public}") == 400) == (status not in REPORTED)


@pytest.mark.parametrize("path", ["sms/reports", "messages"])
def test_the_second_round_goes_on_where_the_first_ended(
    read: Read, key: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Rounds of two batches, pages of three."""
    settings.BATCH_SIZE = 1
    for module, limit in ((delivery_reports, "MAX_RANGES"), (message_search, "MAX_BATCHES")):
        monkeypatch.setattr(module, "AT_ONCE", 2)
        monkeypatch.setattr(module, limit, 3)
    messages = made(key[0].account, 9)
    report([messages[0], messages[4], messages[8]], MessageStatus.SENT)
    report([messages[1], messages[5]], MessageStatus.DELIVERED)
    expected = {"SENT": (8, 4, 0), "DELIVERED": (5, 1)}
    for status, places in expected.items():
        for limit in (1, 2, 50):
            found = walked(read, f"{path}?status={status}&limit={limit}")
            assert found == [messages[place].message_id for place in places], (status, limit)


@pytest.mark.parametrize("path", ["sms/reports?phone_number=%2B4915112345678&", "sms/reports?", "messages?"])
def test_a_page_of_one_row_costs_no_statement_for_each_batch(read: Read, key: Any, settings: Any, path: str) -> None:
    """Batches that may hold what is wanted and do not, as the report they had was of another status."""
    settings.BATCH_SIZE = 1
    report(made(key[0].account, 60), MessageStatus.DELIVERED)
    read(f"{path}status=SENT&limit=1")
    with CaptureQueriesContext(connection) as statements:
        assert read(f"{path}status=SENT&limit=1")["results"] == []
    assert len(statements) <= 9


@pytest.mark.parametrize("path", ["sms/reports", "messages"])
def test_times_are_those_of_the_send_by_number_or_not(read: Read, key: Any, path: str) -> None:
    """A draft of yesterday whose messages are made today is of yesterday."""
    messages = made(key[0].account, 1)
    report(messages, MessageStatus.DELIVERED)
    Campaign.objects.update(created_at=timezone.now() - timedelta(days=1))
    noon = (timezone.now() - timedelta(hours=12)).isoformat().replace("+", "%2B")
    for number in ("", f"&phone_number=%2B{phones(1)[0][1:]}"):
        assert walked(read, f"{path}?created_before={noon}{number}") == [messages[0].message_id]
        assert walked(read, f"{path}?created_after={noon}{number}") == []
