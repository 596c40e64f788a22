"""Results of messages, told to whoever listens, by the transaction that moves them."""

import itertools
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.choices import EventType, WebhookState
from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints
from campaigns import services as campaign_services
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from messaging.choices import MESSAGE, FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Message
from messaging.outcomes import settlement, webhook_events
from messaging.outcomes.settlement import Fact
from messaging.sending.expansion import expand_ready
from tests.support.factories import MembershipFactory, make_audience, make_campaign
from tests.support.pipeline.events import listen, told

pytestmark = pytest.mark.django_db

S = MessageStatus
COUNT = 3


@pytest.fixture
def campaign(settings: Any) -> Campaign:
    settings.WEBHOOK_ALLOW_LOCAL = True
    campaign = make_campaign(count=COUNT)
    expand_ready()
    return campaign


def messages() -> list[Message]:
    return list(Message.objects.order_by("id"))


def report(message: Message, status: MessageStatus, **values: Any) -> Fact:
    facts, _ = settlement.facts_from([Report(message.message_id, status, **values)], FactSource.PUSH)
    return facts[0]


def test_what_a_result_says(campaign: Campaign) -> None:
    endpoint = listen(campaign.account)
    first, *_ = messages()
    settlement.apply([report(first, S.UNDELIVERED, reason=Reason.UNREACHABLE, error_code="27")])
    (row,) = endpoint.deliveries.all()
    body = orjson.loads(row.body)
    assert (body["type"], row.event_type) == ("message.status", "message.status")
    assert body["data"]["bulk_id"] == campaign.bulk_id
    assert body["data"]["client_reference"] == campaign.client_reference
    (result,) = body["data"]["messages"]
    assert result.pop("occurred_at").endswith("Z")
    assert result == {
        "event": "message.undelivered",
        "message_id": first.message_id,
        "to": f"+49{'*' * (len(first.phone_number) - 5)}{first.phone_number[-2:]}",
        "status": "UNDELIVERED",
        "previous_status": "PENDING",
        "is_final": True,
        "reason": "unreachable",
        "error_message": str(Reason.UNREACHABLE.label),
        "detail": "27",
        "segments": 1,
        "price": None,
        "currency": None,
        "sequence": 4,
    }


def test_messages_taken_in_one_statement_are_told_too(campaign: Campaign) -> None:
    endpoint = listen(campaign.account, show_numbers=True)
    settlement.apply([], accepted=[message.pk for message in messages()])
    found = told(endpoint)
    assert [result["message_id"] for result in found] == [message.message_id for message in messages()]
    assert [result["to"] for result in found] == [message.phone_number for message in messages()]
    assert {result["event"] for result in found} == {"message.accepted"}
    assert {(result["previous_status"], result["status"]) for result in found} == {("PENDING", "SENT")}


def test_a_correction_is_called_one(campaign: Campaign) -> None:
    endpoint = listen(campaign.account)
    first, *_ = messages()
    for status in (S.UNDELIVERED, S.DELIVERED):
        settlement.apply([report(first, status)])
    assert [(result["event"], result["status"]) for result in told(endpoint)] == [
        ("message.undelivered", "UNDELIVERED"),
        ("message.corrected", "DELIVERED"),
    ]


def test_what_changes_nothing_is_not_told_again(campaign: Campaign) -> None:
    endpoint = listen(campaign.account)
    first, *_ = messages()
    for _ in range(3):
        settlement.apply([report(first, S.DELIVERED)])
    assert len(told(endpoint)) == 1


def test_an_endpoint_gets_only_the_events_it_chose(campaign: Campaign) -> None:
    endpoint = listen(campaign.account, event_types=["message.delivered"])
    other = listen(campaign.account, event_types=["campaign.paused"])
    first, second, _ = messages()
    settlement.apply([report(first, S.DELIVERED), report(second, S.UNDELIVERED)])
    assert [result["message_id"] for result in told(endpoint)] == [first.message_id]
    assert told(other) == []


def test_other_accounts_and_the_other_mode_hear_nothing(campaign: Campaign) -> None:
    strangers = [listen(MembershipFactory().account), listen(campaign.account, "test")]
    settlement.apply([], accepted=[message.pk for message in messages()])
    assert [told(stranger) for stranger in strangers] == [[], []]


def test_a_callback_url_hears_of_its_own_send_only(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    account = MembershipFactory().account
    url = "http://127.0.0.1:1/callback"
    own = make_campaign(account, 2, callback_url=url)
    make_campaign(account, 2)
    expand_ready()
    callback = WebhookEndpoint.objects.get(kind="callback", url=url)
    campaign_services.pause(own, own.user)
    settlement.apply([], accepted=[message.pk for message in messages()])
    assert {result["message_id"] for result in told(callback)} == {
        message.message_id for message in messages() if message.campaign_id == own.pk
    }
    assert set(callback.deliveries.values_list("event_type", flat=True)) == {"message.status"}
    assert endpoints.signing_secrets(callback) == [endpoints.callback_secret(account)]


def test_a_body_holds_a_hundred_results_of_one_campaign_in_twenty_kilobytes(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    account = MembershipFactory().account
    endpoint = listen(account, show_numbers=True)
    for _ in range(2):
        make_campaign(account, 250)
    expand_ready()
    detail = "ü" * 60
    settlement.apply([Fact(message.pk, S.FAILED, FactSource.DECISION, Reason.POISON, detail) for message in messages()])
    bodies = [row.body for row in endpoint.deliveries.filter(event_type="message.status")]
    assert max(len(body.encode()) for body in bodies) < 20_000
    per_body = [len(orjson.loads(body)["data"]["messages"]) for body in bodies]
    assert max(per_body) <= 100
    assert sum(per_body) == 500
    assert len({result["message_id"] for result in told(endpoint)}) == 500


def test_a_short_result_fits_a_hundred_times() -> None:
    bodies = list(webhook_events._bodies([b"x" * 150] * 250))
    assert [len(body) for body in bodies] == [100, 100, 50]


def test_messages_that_are_unfit_from_the_start_are_told(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    account = MembershipFactory().account
    endpoint = listen(account)
    audience = make_audience(account, 2, ("name",), [["Ann"], [""]])
    make_campaign(account, audience=audience, message="{name}")
    expand_ready()
    (result,) = told(endpoint)
    assert (result["event"], result["status"], result["previous_status"]) == ("message.failed", "FAILED", None)
    assert result["reason"] == "missing_value"


def test_where_nobody_listens_it_costs_one_query(campaign: Campaign) -> None:
    numbers = [message.pk for message in messages()]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        settlement.apply([], accepted=numbers)
        settlement.apply([report(message, S.DELIVERED) for message in messages()])
    about = [query["sql"] for query in queries if "accounts_webhook" in query["sql"]]
    assert len(about) == 3  # one an application, and one for the end of the campaign
    assert not WebhookDelivery.objects.exists()


def test_facts_that_change_nothing_ask_for_no_listener(campaign: Campaign) -> None:
    first, *_ = messages()
    settlement.apply([report(first, S.DELIVERED)])
    with CaptureQueriesContext(connection) as queries:
        settlement.apply([report(first, S.DELIVERED)])
    assert [query["sql"] for query in queries if "accounts_webhook" in query["sql"]] == []


def test_queries_do_not_grow_with_messages(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    counts = []
    for size in (5, 5, 95):  # the first makes what an installation has once
        account = MembershipFactory().account
        listen(account)
        campaign = make_campaign(account, size)
        expand_ready()
        numbers = list(Message.objects.filter(campaign=campaign).values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as queries:
            settlement.apply([], accepted=numbers)
        counts.append(len(queries))
    assert counts[1] == counts[2]


def test_what_is_rolled_back_is_not_told(campaign: Campaign) -> None:
    listen(campaign.account)
    with transaction.atomic():
        settlement.apply([], accepted=[message.pk for message in messages()])
        transaction.set_rollback(True)
    assert not WebhookDelivery.objects.filter(event_type="message.status").exists()


def test_a_receiver_that_keeps_the_highest_sequence_has_the_truth(campaign: Campaign) -> None:
    """Over every way that the table allows: each move has a higher number than all before it."""
    ways = [((S.QUEUED,), False)]
    while ways:
        path, was_taken = ways.pop()
        for status in S:
            if len(path) > 8 or not any(MESSAGE.may(path[-1], status, source) for source in FactSource):
                continue
            if status is S.SENT and path[-1] is S.UNCONFIRMED and was_taken:
                continue  # settlement lets nobody do this
            taken = was_taken or status in (S.SENT, S.DELIVERED, S.UNDELIVERED)
            numbers = [
                webhook_events.sequence_of(one, _was_taken(path[: place + 1]))
                for place, one in enumerate(path)
                if one in webhook_events.EVENT_OF
            ]
            if status in webhook_events.EVENT_OF:
                assert webhook_events.sequence_of(status, taken) > max(numbers, default=0), (path, status)
            ways.append(((*path, status), taken))


def _was_taken(path: tuple[MessageStatus, ...]) -> bool:
    return any(status in (S.SENT, S.DELIVERED, S.UNDELIVERED) for status in path)


def test_bodies_in_any_order_end_in_the_same_state(campaign: Campaign) -> None:
    endpoint = listen(campaign.account)
    first, *_ = messages()
    settlement.apply([], accepted=[first.pk])
    settlement.apply([Fact(first.pk, S.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_REPORT)])
    settlement.apply([report(first, S.UNDELIVERED)])
    settlement.apply([report(first, S.DELIVERED)])
    found = told(endpoint)
    assert len(found) == 4
    for shuffled in itertools.permutations(found):
        kept: dict[str, Any] = {}
        for result in shuffled:
            if result["sequence"] > kept.get("sequence", 0):
                kept = result
        assert kept["status"] == "DELIVERED"


# --- Campaigns and uploads -------------------------------------------------------------------------------


def events_of(endpoint: WebhookEndpoint) -> list[str]:
    return list(endpoint.deliveries.order_by("pk").values_list("event_type", flat=True))


def test_a_campaign_tells_of_its_life(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    account = MembershipFactory().account
    endpoint = listen(account, event_types=[kind for kind in EventType if kind.startswith("campaign.")])
    campaign = make_campaign(account, 2)
    expand_ready()
    campaign_services.pause(campaign, campaign.user)
    campaign_services.resume(Campaign.objects.get(pk=campaign.pk), campaign.user)
    settlement.apply([], accepted=[message.pk for message in messages()])
    other = make_campaign(account, 2)
    campaign_services.cancel(other, other.user)
    assert events_of(endpoint) == [
        "campaign.started",
        "campaign.paused",
        "campaign.started",
        "campaign.completed",
        "campaign.started",
        "campaign.cancelled",
    ]
    completed = orjson.loads(endpoint.deliveries.get(event_type="campaign.completed").body)["data"]
    assert completed["bulk_id"] == campaign.bulk_id
    assert completed["status"] == "COMPLETED"
    assert (completed["messages_by_status"]["sent"], completed["total_recipients"]) == (2, 2)


def test_a_single_send_is_told_by_its_messages_alone(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    account = MembershipFactory().account
    endpoint = listen(account)
    make_campaign(account, 1, kind=CampaignKind.SINGLE)
    expand_ready()
    settlement.apply([], accepted=[message.pk for message in messages()])
    assert events_of(endpoint) == ["message.status"]
    assert endpoint.deliveries.get().state == WebhookState.WAITING
