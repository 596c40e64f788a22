"""`messages`: every message once, newest first, whatever the pages, and its whole story."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from accounts.choices import Mode
from accounts.webhooks import endpoints
from campaigns.choices import CampaignKind
from campaigns.services import CampaignRequest
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Message
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.sending.expansion import expand_ready
from messaging.services import send
from reports.selectors import message_search
from tests.support.factories import make_api_key, make_campaign, phones

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MESSAGES = "/api/v1/messages"


class Reader:
    def __init__(self, client: Client, **options: Any) -> None:
        self.client = client
        self.key, self.text = make_api_key(**options)

    def __call__(self, path: str = "", **filters: object) -> Any:
        where = path if path.startswith("http") else f"{MESSAGES}{path}{'?' + urlencode(filters) if filters else ''}"
        answer = self.client.get(where, headers={"X-API-Key": self.text})
        content = answer.json()
        return content["data"] if answer.status_code == 200 else (answer.status_code, content["error"]["code"])

    def walk(self, **filters: object) -> list[str]:
        """Ids of all pages, one after the other."""
        page = self(**filters)
        found = [row["message_id"] for row in page["results"]]
        while page["next"]:
            page = self(page["next"])
            found += [row["message_id"] for row in page["results"]]
        return found


@pytest.fixture
def read(client: Client) -> Reader:
    return Reader(client)


def campaign_of(reader: Reader, count: int, **options: Any) -> list[str]:
    """Ids of a campaign's messages, in order."""
    campaign = make_campaign(reader.key.account, count, **options)
    while expand_ready():
        pass
    return [message.message_id for message in Message.objects.filter(campaign=campaign).order_by("id")]


def test_pages_show_every_message_once_newest_first(read: Reader, settings: Any) -> None:
    settings.BATCH_SIZE = 3
    ids = campaign_of(read, 8) + campaign_of(read, 5)
    assert read.walk(limit=4) == ids[::-1]


def test_short_pages_go_on(read: Reader, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BATCH_SIZE = 1
    monkeypatch.setattr(message_search, "MAX_BATCHES", 2)
    ids = campaign_of(read, 7)
    assert read.walk(limit=50) == ids[::-1]


def test_a_page_looks_so_far_down_for_what_is_rare_and_the_next_goes_on(
    read: Reader, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BATCH_SIZE = 1
    monkeypatch.setattr(message_search, "REACH", 2)
    ids = campaign_of(read, 7)
    oldest = Message.objects.order_by("id")[0]
    settlement.apply([Fact(oldest.pk, MessageStatus.DELIVERED, FactSource.PUSH)])
    assert read(status="DELIVERED")["results"] == []
    assert read.walk(status="DELIVERED") == ids[:1]
    assert read.walk() == ids[::-1]
    of_campaign = read(bulk_id=read(f"/{ids[0]}")["bulk_id"], status="DELIVERED")  # an index leads there
    assert [row["message_id"] for row in of_campaign["results"]] == ids[:1]


def test_message_report_and_event_say_why_in_the_same_words(read: Reader) -> None:
    endpoint, _ = endpoints.create(read.key.account, Mode.LIVE, read.key.user, "https://93.184.216.34/hook")
    undelivered, on_its_way = campaign_of(read, 2)
    reports = [
        Report(undelivered, MessageStatus.UNDELIVERED, reason=Reason.UNREACHABLE, error_code="27"),
        Report(on_its_way, MessageStatus.SENT, reason=Reason.NO_RECEIPT),
    ]
    settlement.apply(settlement.facts_from(reports, FactSource.PUSH)[0])
    (delivery,) = endpoint.deliveries.filter(event_type="message.status")
    events = {one["message_id"]: one for one in json.loads(delivery.body)["data"]["messages"]}
    for message_id, reason, words, detail in (
        (undelivered, "unreachable", str(Reason.UNREACHABLE.label), "27"),
        (on_its_way, None, None, None),
    ):
        message = read(f"/{message_id}")
        (report,) = read(f"http://testserver/api/v1/sms/reports?message_id={message_id}")["results"]
        for said in (message, report, events[message_id]):
            assert (said["reason"], said["error_message"]) == (reason, words)
        assert message["detail"] == events[message_id]["detail"] == detail


def test_filters_leave_out_and_nothing_else(read: Reader, settings: Any) -> None:
    settings.BATCH_SIZE = 2
    first, second = campaign_of(read, 5), campaign_of(read, 3)
    moved = Message.objects.order_by("id")[:2]
    settlement.apply([Fact(message.pk, MessageStatus.DELIVERED, FactSource.PUSH) for message in moved])
    assert read.walk(status="DELIVERED", limit=1) == first[1::-1]
    assert read.walk(phone_number=phones(1)[0].replace("+49", "0")) == [second[0], first[0]]
    bulk_id = read(f"/{second[0]}")["bulk_id"]
    assert read.walk(bulk_id=bulk_id) == second[::-1]
    assert read.walk(phone_number=phones(1)[0], bulk_id=bulk_id) == [second[0]]
    now = timezone.now()
    assert read.walk(created_after=(now - timedelta(minutes=5)).isoformat()) == (first + second)[::-1]
    assert read.walk(created_before=(now - timedelta(minutes=5)).isoformat()) == []
    assert read.walk(phone_number=phones(1)[0], created_before=(now - timedelta(minutes=5)).isoformat()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "LOST"},
        {"phone_number": "x"},
        {"limit": 201},
        {"limit": 0},
        {"created_after": "2027-01-01"},
        {"stat": "SENT"},
    ],
    ids=str,
)
def test_a_wrong_filter_is_400(read: Reader, wrong: dict[str, object]) -> None:
    assert read(**wrong) == (400, "VALIDATION_ERROR")


def test_a_forged_cursor_and_one_of_another_list_are_400(read: Reader, client: Client) -> None:
    campaign_of(read, 3)
    cursor = read(limit=1)["next"].split("cursor=")[1].split("&")[0]
    assert read(cursor="x") == (400, "INVALID_CURSOR")
    assert read(cursor=cursor, status="SENT") == (400, "INVALID_CURSOR")
    assert Reader(client)(cursor=cursor) == (400, "INVALID_CURSOR")


def test_messages_of_others_and_of_test_keys_are_not_there(read: Reader, client: Client) -> None:
    ids = campaign_of(read, 2)
    for other in (Reader(client), Reader(client, account=read.key.account, mode=Mode.TEST)):
        assert other()["results"] == []
        assert other(f"/{ids[0]}") == (404, "NOT_FOUND")


def test_one_message_tells_its_story(read: Reader) -> None:
    request = CampaignRequest(kind=CampaignKind.SINGLE, message="Hello", request_id="req-1")
    send(read.key.account, read.key.user, request, ["+4915112345678"])
    number = Message.objects.values_list("id", flat=True).get()
    settlement.apply([Fact(number, MessageStatus.DELIVERED, FactSource.PUSH)])
    story = read(f"/{Message.objects.get().message_id}")
    assert (story["status"], story["message"], story["to"], story["segments"]) == (
        "DELIVERED",
        "Hello",
        "+4915112345678",
        1,
    )
    assert story["request_id"] == "req-1"
    assert [step["title"] for step in story["timeline"]][:2] == ["Accepted", "Prepared for sending"]
    assert story["delivered_at"]


def test_a_page_costs_the_same_queries_however_many_messages(
    read: Reader, settings: Any, django_assert_max_num_queries: Any
) -> None:
    settings.BATCH_SIZE = 10
    campaign_of(read, 300)
    with django_assert_max_num_queries(6):
        assert len(read(limit=200)["results"]) == 200
