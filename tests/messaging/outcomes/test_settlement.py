"""`apply`: exact, whatever arrives, in any order, any number of times."""

import random
import threading
from decimal import Decimal

import pytest
from django.db import connection

from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.models import DeliveryReport, Message
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.sending.expansion import expand_ready
from tests.support.factories import make_campaign
from tests.support.pipeline.assertions import assert_counted

pytestmark = pytest.mark.django_db

S = MessageStatus


def report(message: Message, status: MessageStatus, **values) -> Fact:
    facts, _ = settlement.facts_from([Report(message.message_id, status, **values)], FactSource.PUSH)
    return facts[0]


@pytest.fixture
def campaign() -> Campaign:
    campaign = make_campaign(count=3)
    expand_ready()
    return campaign


def messages() -> list[Message]:
    return list(Message.objects.order_by("id"))


def test_what_was_given_up_is_not_opened_again_by_word_that_it_is_on_its_way(campaign):
    """Or look-ups of a neighbour would give it new deadlines for ever."""
    taken, lost, _ = messages()
    settlement.apply([report(taken, S.SENT)])
    settlement.apply([Fact(lost.pk, S.UNKNOWN, FactSource.DEADLINE)])
    settlement.apply([Fact(message.pk, S.UNCONFIRMED, FactSource.DEADLINE) for message in (taken, lost)])
    applied = settlement.apply([report(taken, S.SENT), report(lost, S.SENT)])
    assert (applied.changed, applied.unchanged) == (1, 1)
    assert [message.status for message in messages()][:2] == [S.UNCONFIRMED, S.SENT]  # of the other it is news
    assert settlement.apply([report(taken, S.DELIVERED)]).changed == 1
    assert_counted(campaign)


def test_a_delivery_report_delivers_and_is_kept(campaign):
    message = messages()[0]
    fact = report(message, S.DELIVERED, price=Decimal("0.05"), currency="EUR", provider_status="DELIVERED_TO_HANDSET")
    assert settlement.apply([fact]).changed == 1
    message.refresh_from_db()
    assert message.status == S.DELIVERED
    assert message.delivered_at is not None
    kept = DeliveryReport.objects.get(message_id=message.pk)
    assert (kept.price, kept.currency, kept.provider_status) == (Decimal("0.05"), "EUR", "DELIVERED_TO_HANDSET")
    assert_counted(campaign)


def test_a_repeated_report_changes_nothing(campaign):
    facts = [report(message, S.DELIVERED) for message in messages()]
    settlement.apply(facts)
    again = settlement.apply(facts + facts)
    assert (again.changed, again.unchanged) == (0, 6)
    assert DeliveryReport.objects.count() == 3
    assert_counted(campaign)


def test_a_late_intermediate_report_never_reopens_a_final_state(campaign):
    message = messages()[0]
    settlement.apply([report(message, S.DELIVERED), report(message, S.SENT), report(message, S.UNDELIVERED)])
    message.refresh_from_db()
    assert message.status == S.DELIVERED
    assert_counted(campaign)


def test_a_refusal_after_acceptance_is_undelivered_with_the_reason(campaign):
    message = messages()[0]
    settlement.apply([report(message, S.SENT)])
    settlement.apply([report(message, S.REJECTED, reason=Reason.RECIPIENT_REFUSED)])
    message.refresh_from_db()
    assert (message.status, message.reason) == (S.UNDELIVERED, Reason.RECIPIENT_REFUSED)
    assert_counted(campaign)


def test_only_a_proven_delivery_corrects_undelivered(campaign):
    message = messages()[0]
    settlement.apply([report(message, S.UNDELIVERED, reason=Reason.UNREACHABLE)])
    settlement.apply([report(message, S.DELIVERED)])
    message.refresh_from_db()
    assert (message.status, message.reason) == (S.DELIVERED, "")
    assert_counted(campaign)


def test_an_unknown_id_is_counted_and_harms_nobody(campaign):
    fact = Fact(987654321 * 1024, S.DELIVERED, FactSource.PUSH)
    applied = settlement.apply([fact, report(messages()[0], S.SENT)])
    assert (applied.changed, applied.unmatched) == (1, 1)
    assert_counted(campaign)


def test_a_message_we_closed_is_not_reopened_by_a_report(campaign, caplog):
    message = messages()[0]
    settlement.control([message.pk], S.CANCELLED, Reason.CANCELLED)
    assert settlement.apply([report(message, S.DELIVERED)]).changed == 0
    message.refresh_from_db()
    assert message.status == S.CANCELLED
    assert "yet the provider has it" in caplog.text


def test_odd_words_of_a_provider_stop_nothing(campaign):
    fact = report(
        messages()[0],
        S.UNDELIVERED,
        provider_status="X\x00" * 100,
        error_code="9" * 50,
        error_description="y" * 999,
        price=Decimal("1e30"),
        currency="EURO",
    )
    assert settlement.apply([fact]).changed == 1
    kept = DeliveryReport.objects.get()
    assert (kept.price, kept.currency, "\x00" in kept.provider_status) == (None, "EUR", False)


def test_the_last_message_completes_and_the_last_report_closes_the_campaign(campaign):
    rows = messages()
    settlement.apply([report(message, S.SENT) for message in rows])
    campaign.refresh_from_db()
    assert (campaign.status, campaign.closed_at) == (CampaignStatus.COMPLETED, None)
    settlement.apply([report(message, S.DELIVERED) for message in rows])
    campaign.refresh_from_db()
    assert campaign.closed_at is not None
    assert campaign.successful_count == 3


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_the_same_reports_ends_the_same(campaign, seed):
    facts = [report(message, status) for message in messages() for status in (S.SENT, S.DELIVERED, S.UNDELIVERED)]
    shuffled = random.Random(seed)
    shuffled.shuffle(facts)
    for fact in facts * 2:
        settlement.apply([fact])
    assert {S(message.status) for message in messages()} == {S.DELIVERED}
    assert_counted(campaign)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_counters_are_exact_under_many_writers():
    campaign = make_campaign(count=60)
    expand_ready()
    facts = [report(m, status) for m in messages() for status in (S.SENT, S.DELIVERED, S.UNDELIVERED)] * 2
    errors: list[BaseException] = []

    def write(seed: int) -> None:
        own = list(facts)
        random.Random(seed).shuffle(own)
        try:
            for start in range(0, len(own), 20):
                settlement.apply(own[start : start + 20])
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert_counted(campaign)
    assert campaign.delivered == 60
