"""`POST /sms/send` and what can be read of it afterwards, as a customer's program sees it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.choices import Mode
from campaigns.models import Campaign
from campaigns.scheduling import starting
from messaging.choices import FactSource, Lane, MessageStatus
from messaging.gateways.base import Report
from messaging.models import Message
from messaging.outcomes import report_inbox, settlement
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from tests.support.api import Caller
from tests.support.factories import SenderIdFactory, make_api_key, phones
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def caller(client) -> Caller:
    return Caller(client)


def test_a_send_answers_what_happened_to_each_number(caller):
    SenderIdFactory(account=caller.row.account, value="YourBrand")
    answer = caller.post(
        "sms/send",
        {"phone_numbers": ["+49 151 1234 5678", "0171 1234567"], "message": "Hello €", "sender_id": "YourBrand"},
    )
    body = answer.json()
    assert answer.status_code == 202
    assert set(body) == {"success", "timestamp", "data", "error", "metadata"}
    assert (body["success"], body["error"]) == (True, None)
    data = body["data"]
    assert (data["total_sent"], data["successful"], data["failed"]) == (2, 2, 0)
    assert [(m["to"], m["status"], m["segments"]) for m in data["messages"]] == [
        ("+4915112345678", "PENDING", 1),
        ("+491711234567", "PENDING", 1),
    ]
    assert data["messages"][0]["message_id"] == Message.objects.order_by("id")[0].message_id


def test_a_send_is_sent_delivered_and_reported(caller, simulator):
    data = caller.post("sms/send", {"phone_numbers": phones(2), "message": "Hello"}).json()["data"]
    assert dispatch.dispatch_ready(Lane.SINGLES) == 1
    simulator.flush()
    while Message.objects.exclude(status=MessageStatus.DELIVERED).exists():
        report_inbox.poll()
        report_inbox.apply_waiting()
    report = caller.get(f"sms/reports/{data['messages'][0]['message_id']}").json()["data"]
    assert (report["status"], report["message"], report["to"]) == ("DELIVERED", "Hello", phones(1)[0])
    assert report["reports"][-1]["status"] == "DELIVERED"
    listed = caller.get(f"sms/reports?bulk_id={data['bulk_id']}").json()["data"]
    assert {row["message_id"] for row in listed["results"]} == {m["message_id"] for m in data["messages"]}


def test_reports_are_paged_without_gaps_or_repeats(caller, simulator, settings):
    settings.BATCH_SIZE = 3
    caller.post("sms/bulk", {"phone_numbers": phones(10), "message": "Hello"})
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    while Message.objects.exclude(status=MessageStatus.DELIVERED).exists():
        report_inbox.poll()
        report_inbox.apply_waiting()
    everything = caller.get("sms/reports?limit=200").json()["data"]["results"]
    pages, address = [], "sms/reports?limit=3"
    while address:
        page = caller.get(address).json()["data"]
        pages += page["results"]
        address = (page["next"] or "").removeprefix("http://testserver/api/v1/")
    assert pages == everything
    assert len({row["message_id"] for row in pages}) == 10


@pytest.mark.parametrize("query", ["limit=0", "limit=1e9", "limit=201", "cursor=forged", "cursor=.5", "phone_number=x"])
def test_a_wrong_query_is_named(caller, query):
    answer = caller.get(f"sms/reports?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == query.split("=")[0]


def test_numbers_are_found_in_any_spelling(caller):
    data = caller.post("sms/send", {"phone_numbers": ["+4915112345678"], "message": "Hello"}).json()["data"]
    number = Message.objects.get().pk
    told = Report(data["messages"][0]["message_id"], MessageStatus.DELIVERED)
    settlement.apply(settlement.facts_from([told], FactSource.PUSH)[0])
    found = caller.get("sms/reports?phone_number=0151%2012345678").json()["data"]["results"]
    assert [row["message_id"] for row in found] == [Message.objects.get(pk=number).message_id]


def test_a_scheduled_send_waits_for_its_time(caller, simulator):
    at = timezone.now() + timedelta(hours=2)
    caller.post("sms/send", {"phone_numbers": phones(1), "message": "Hi", "schedule_time": at.isoformat()})
    assert dispatch.dispatch_ready(Lane.SINGLES) == 0
    assert starting.start_due(timezone.now()) == 0
    assert starting.start_due(at + timedelta(seconds=1)) == 1
    assert dispatch.dispatch_ready(Lane.SINGLES) == 1


def test_a_campaign_hours_late_is_missed_not_sent(caller):
    at = timezone.now() + timedelta(hours=2)
    caller.post("sms/send", {"phone_numbers": phones(1), "message": "Hi", "schedule_time": at.isoformat()})
    assert starting.start_due(at + timedelta(hours=3)) == 0
    assert Campaign.objects.get().status == "missed"


def test_an_opted_out_number_is_refused(caller):
    suppress(caller.row.account, phones(1)[0], "STOP")
    answer = caller.post("sms/send", {"phone_numbers": phones(1), "message": "Hi"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "RECIPIENT_OPTED_OUT")


def test_every_wrong_and_every_opted_out_number_is_named_at_once(caller):
    first, fine, second = phones(3)
    for phone in (first, second):
        suppress(caller.row.account, phone, "STOP")
    error = caller.post("sms/send", {"phone_numbers": [first, fine, second, "bad"], "message": "Hi"}).json()["error"]
    assert (error["code"], error["details"]["code"]) == ("VALIDATION_ERROR", "NOT_A_NUMBER")
    assert [(one["field"], one["code"]) for one in error["details"]["errors"]] == [
        ("phone_numbers[3]", "NOT_A_NUMBER"),
        ("phone_numbers[0]", "RECIPIENT_OPTED_OUT"),
        ("phone_numbers[2]", "RECIPIENT_OPTED_OUT"),
    ]
    assert not Campaign.objects.exists()


def test_nothing_of_another_account_is_visible(caller, client):
    data = caller.post("sms/send", {"phone_numbers": phones(1), "message": "Hi"}).json()["data"]
    stranger = Caller(client)
    message_id = data["messages"][0]["message_id"]
    assert stranger.get(f"campaigns/{data['bulk_id']}").status_code == 404
    assert stranger.get(f"sms/reports/{message_id}").status_code == 404
    assert stranger.get(f"sms/reports?message_id={message_id}").json()["data"]["results"] == []
    assert stranger.get(f"sms/reports?bulk_id={data['bulk_id']}").json()["data"]["results"] == []


def test_test_keys_and_live_keys_do_not_see_each_other(caller, client):
    _, test_key = make_api_key(caller.row.account, Mode.TEST)
    data = caller.post("sms/send", {"phone_numbers": phones(1), "message": "Hi"}).json()["data"]
    answer = client.get(f"/api/v1/campaigns/{data['bulk_id']}", headers={"X-API-Key": test_key})
    assert answer.status_code == 404
