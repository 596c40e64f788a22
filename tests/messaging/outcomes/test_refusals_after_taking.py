"""What a provider took and refuses afterwards is free; what nobody can say any more is unconfirmed. In any order of
facts, as often as they come."""

import importlib
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import orjson
import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.billing.prices import import_prices
from accounts.choices import LedgerKind, Role
from accounts.models import Account, LedgerEntry
from campaigns.models import Campaign
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import Batch, DeliveryReport, Message, StatDelta
from messaging.outcomes import billing, late_refusals, report_inbox, settlement
from messaging.outcomes.settlement import Fact
from messaging.sending import resending
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps
from reports.selectors import message_timeline
from smsapp.core.exceptions import InvalidState
from tests.support.factories import MembershipFactory, make_campaign
from tests.support.pipeline.assertions import assert_adds_up, assert_counted
from tests.support.pipeline.events import listen, told
from tests.support.pipeline.money import books, metered, settle
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db
S = MessageStatus

NO_RECEIPT, NO_CREDIT, LATE_REFUSAL, OPERATOR_ONLY = (
    "+4915112999914",
    "+4915112999915",
    "+4915112999912",
    "+4915112999911",
)
#: What may be said of a message: its status, and whether it is the account that is refused.
WORDS: dict[str, Report] = {
    "sent": Report("", S.SENT),
    "operator": Report("", S.SENT, Reason.NO_RECEIPT),
    "delivered": Report("", S.DELIVERED),
    "undelivered": Report("", S.UNDELIVERED, Reason.UNREACHABLE),
    "unconfirmed": Report("", S.UNCONFIRMED, Reason.NO_RECEIPT),
    "rejected": Report("", S.REJECTED, Reason.CONTENT_REFUSED),
    "account": Report("", S.REJECTED, Reason.PROVIDER_REFUSED, account_refused=True, provider_status="NO_CREDIT"),
}


@pytest.fixture(autouse=True)
def prices() -> None:
    import_prices(["49,0.05"], None, "EUR", None)


def say(word: str, message: Message, source: FactSource = FactSource.PUSH) -> None:
    report = WORDS[word]._replace(message_id=message.message_id)
    settlement.apply(settlement.facts_from([report], source)[0])
    if report.account_refused:
        late_refusals.apply_late_refusals([report])


def sent_campaign(account: Account, numbers: Sequence[str] = (), count: int = 3) -> Campaign:
    audience = audience_from_numbers(account, list(enumerate(numbers, 1))) if numbers else None
    campaign = make_campaign(account, count, audience=audience)
    expand_ready()
    return campaign


def taken(account: Account, count: int = 3) -> list[Message]:
    sent_campaign(account, count=count)
    messages = list(Message.objects.order_by("id"))
    settlement.apply([], accepted=[message.id for message in messages])
    return messages


# --- money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["rejected", "account"])
def test_what_is_refused_after_it_was_taken_is_given_back(word: str) -> None:
    account = metered(100)
    one, two, three = taken(account)
    billing.settle()
    assert books(account) == (85, 0, 15)
    for _ in range(3):
        say(word, one)
    say("undelivered", two)
    say("delivered", three)
    billing.settle()
    assert books(account)[2] == 10
    campaign = settle(Campaign.objects.get())
    assert books(account) == (90, 0, 10)
    refund = LedgerEntry.objects.get(kind=LedgerKind.REFUND)
    assert (refund.amount_micro, refund.campaign_id) == (50_000, campaign.pk)
    assert_adds_up()
    assert_counted(campaign)
    say("delivered", one)  # after all
    billing.settle()
    assert books(account) == (85, 0, 15)
    assert_adds_up()


def expected_charge(words: Sequence[str]) -> int:
    if "delivered" in words:
        return 1
    if {"rejected", "account"} & set(words) or "undelivered" not in words:
        return 0
    return 1


@pytest.mark.parametrize(
    "words",
    [
        ("rejected", "delivered", "undelivered"),
        ("rejected", "undelivered", "unconfirmed"),
        ("account", "undelivered", "delivered"),
        ("account", "unconfirmed", "operator"),
        ("unconfirmed", "undelivered", "operator"),
        ("rejected", "account", "undelivered"),
    ],
    ids="-".join,
)
def test_in_any_order_the_same_is_charged(words: tuple[str, ...]) -> None:
    orders = list(permutations(words))
    messages = taken(metered(1000), len(orders))
    for message, order in zip(messages, orders, strict=True):
        for word in (*order, *order):
            say(word, message)
    assert_adds_up()
    assert Batch.objects.get().segments == len(orders) * expected_charge(words)
    finals = {S(message.status) for message in Message.objects.all()}
    assert len(finals) == 1, "and the message ends the same"


def test_a_report_that_is_quicker_than_the_answer_of_a_call_it_refuses_contradicts_nothing(caplog: Any) -> None:
    sent_campaign(metered(100))
    message = Message.objects.order_by("id")[0]
    say("rejected", message)
    settlement.apply([], accepted=[message.id])
    message.refresh_from_db()
    assert (message.status, Batch.objects.get().segments) == (S.REJECTED, 0)
    assert "yet the provider has it" not in caplog.text


def test_refusals_from_end_to_end_are_not_charged(simulator: Any) -> None:
    account = metered(100)
    campaign = sent_campaign(account, [NO_CREDIT, LATE_REFUSAL, "+4915112999903", "+4915112999901"])
    send()
    eventually(lambda: statuses() == {"undelivered": 3, "delivered": 1}, run_dry)
    settle(campaign)
    assert books(account) == (90, 0, 10)


def test_the_page_of_a_message_says_what_it_costs_and_that_it_was_refused(client: Client) -> None:
    account = metered(100)
    one, two, _ = taken(account)
    say("rejected", one)
    say("undelivered", two)
    client.force_login(MembershipFactory(account=account, role=Role.ADMIN).user)
    pages = [client.get(reverse("message-detail", args=[message.message_id])) for message in (one, two)]
    assert [page.context["price"] for page in pages] == ["0", "0.05"]
    assert "which is not charged" in pages[0].content.decode()


def test_what_was_charged_before_the_upgrade_is_given_back(db: None) -> None:
    account = metered(100)
    one, two, _ = taken(account)
    billing.settle()
    say("account", one)
    say("undelivered", two)
    Batch.objects.update(segments=3)  # as it was counted then
    StatDelta.objects.filter(segments=-1).update(segments=0)
    migration = importlib.import_module("messaging.migrations.0010_no_receipt")
    migration.take_segments_back(apps, None)
    assert_adds_up()
    billing.settle()
    assert books(account)[2] == 10


# --- nobody can say any more -----------------------------------------------------------------------------------------


def test_what_the_operator_never_reported_is_unconfirmed_and_not_sent_again(simulator: Any) -> None:
    account = metered(100)
    campaign = sent_campaign(account, [NO_RECEIPT, "+4915112999901"])
    send()
    eventually(lambda: statuses() == {"unconfirmed": 1, "delivered": 1}, run_dry)
    message = Message.objects.get(phone_number=NO_RECEIPT)
    assert message.error_message == str(Reason.NO_RECEIPT.label)
    settle(campaign)
    assert books(account) == (95, 0, 5)
    with pytest.raises(InvalidState):
        resending.resend_failed(campaign, campaign.user)
    assert "The provider said so" in message_timeline(message)[-1].detail
    say("delivered", message)
    billing.settle()
    assert books(account) == (90, 0, 10)
    assert statuses() == {"delivered": 2}


def test_delivered_to_the_operator_is_the_last_word_by_a_name_of_its_own(simulator: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    campaign = sent_campaign(metered(100), [OPERATOR_ONLY, "+4915112999910"])
    endpoint = listen(campaign.account)
    send()
    eventually(lambda: Message.objects.filter(reason=Reason.NO_RECEIPT).exists(), inbox_once)
    message = Message.objects.get(phone_number=OPERATOR_ONLY)
    assert (message.status, message.error_message) == (S.SENT, "")
    assert [report.provider_status for report in DeliveryReport.objects.all()] == ["DELIVERED_TO_OPERATOR"]
    say("operator", message)
    assert DeliveryReport.objects.count() == 1
    sweeps.give_up_reports(message.batch_id)
    reasons = dict(Message.objects.values_list("phone_number", "reason"))
    assert reasons == {OPERATOR_ONLY: Reason.NO_RECEIPT, "+4915112999910": Reason.NO_REPORT}
    assert [(result["event"], result["reason"]) for result in told(endpoint)] == [
        ("message.accepted", None),
        ("message.accepted", None),
        ("message.unconfirmed", "no_receipt"),
        ("message.unconfirmed", "no_report"),
    ]
    assert_adds_up()


def inbox_once() -> None:
    report_inbox.poll()
    report_inbox.apply_waiting()


def test_that_the_operator_took_it_is_told_without_an_error(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    campaign = sent_campaign(metered(100))
    endpoint = listen(campaign.account)
    message = Message.objects.order_by("id")[0]
    say("operator", message)
    (result,) = told(endpoint)
    assert (result["event"], result["reason"]) == ("message.accepted", None)
    say("unconfirmed", message)
    assert told(endpoint)[-1]["reason"] == "no_receipt"


def test_what_was_closed_without_proof_is_known_better_once_the_provider_says_so() -> None:
    sent_campaign(metered(100))
    message = Message.objects.order_by("id")[0]
    settlement.apply([Fact(message.id, S.UNKNOWN, FactSource.DEADLINE, Reason.ANSWER_LOST)])
    settlement.apply([Fact(message.id, S.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_PROOF)])
    say("unconfirmed", message, FactSource.LOOKUP)
    message.refresh_from_db()
    assert (message.status, message.reason, message.sent_at is not None) == (S.UNCONFIRMED, Reason.NO_RECEIPT, True)
    say("sent", message)
    message.refresh_from_db()
    assert message.status == S.UNCONFIRMED
    say("rejected", message)
    message.refresh_from_db()
    assert (message.status, message.reason) == (S.UNDELIVERED, Reason.CONTENT_REFUSED)
    assert_adds_up()


def test_what_earlier_versions_called_undelivered_for_lack_of_a_report_is_not_sent_again() -> None:
    one, two, three = taken(metered(100))
    for message in (one, two, three):
        say("undelivered", message)
    Message.objects.filter(pk=one.pk).update(reason=Reason.NO_REPORT)
    campaign = settle(Campaign.objects.get())
    resend = resending.resend_failed(campaign, campaign.user)
    assert resend.total_recipients == 2


def test_the_view_of_messages_names_no_error_of_one_that_is_on_its_way() -> None:
    sent_campaign(metered(100))
    message = Message.objects.order_by("id")[0]
    say("operator", message)
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, error_message FROM sms_messages ORDER BY message_id")
        assert cursor.fetchone() == ("SENT", "")


def test_reports_of_one_body_are_read_in_its_order(simulator: Any) -> None:
    """Refused, and delivered all the same, in one application."""
    account = metered(100)
    one, *_ = taken(account)
    results = [
        {"messageId": one.message_id, "status": {"groupId": 5, "id": 14, "name": "REJECTED"}},
        {"messageId": one.message_id, "status": {"groupId": 2, "id": 9, "name": "UNDELIVERABLE"}},
        {"messageId": one.message_id, "status": {"groupId": 3, "id": 5, "name": "DELIVERED_TO_HANDSET"}},
    ]
    report_inbox.receive("simulator", FactSource.PUSH, orjson.dumps({"results": results}), 3)
    report_inbox.apply_waiting()
    assert Batch.objects.get().segments == 3
    assert_adds_up()
