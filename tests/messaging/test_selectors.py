"""What could not be stopped is counted exactly when pause, cancel and hold have answered."""

import pytest

from accounts.suspension import suspend_account
from campaigns import services as campaign_services
from messaging.choices import FactSource, Lane, MessageStatus, Reason
from messaging.gateways.base import Unknown
from messaging.models import Batch, Message
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.selectors import on_their_way, on_their_way_of, on_their_way_words, still_to_send, still_to_send_words
from messaging.sending import leases, record
from messaging.sending.expansion import expand_ready
from messaging.sending.submit import Call, Result, make_call
from tests.support.factories import AccountFactory, make_campaign
from tests.support.pipeline.steps import opened_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def calls(simulator, settings) -> list[Call]:
    """Two calls of three messages each may have begun, a third batch is leased and a fourth is not."""
    settings.BATCH_SIZE = 3
    make_campaign(count=12)
    expand_ready()
    leased = leases.lease(Lane.CAMPAIGNS, 3)
    return [call for call in map(opened_of, leased[:2]) if call is not None]


def test_after_a_pause_only_calls_already_begun_are_on_their_way(calls):
    campaign = calls[0].batch.campaign
    paused = campaign_services.pause(campaign, campaign.user)
    assert on_their_way(paused) == 6
    for batch in Batch.objects.filter(state="leased").exclude(pk__in=[call.batch.pk for call in calls]):
        assert opened_of(batch) is None
    assert on_their_way(paused) == 6
    for left, call in zip((3, 0), calls, strict=True):
        record.record(make_call(call))
        assert on_their_way(paused) == left
    assert still_to_send(campaign_services.resume(paused, campaign.user)) == 6


def test_a_cancelled_campaign_also_names_what_nobody_knows_of(calls):
    campaign = calls[0].batch.campaign
    lost = Message.objects.in_batch(calls[0].batch.pk)
    paused = campaign_services.pause(campaign, campaign.user)
    record.record(Result(calls[0], error=Unknown("reset")))
    assert (lost.filter(status=MessageStatus.UNKNOWN).count(), on_their_way(paused)) == (3, 3)
    cancelled = campaign_services.cancel(paused, campaign.user)
    assert on_their_way(cancelled) == 6
    numbers = list(lost.values_list("id", flat=True))
    settlement.apply([Fact(n, MessageStatus.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_PROOF) for n in numbers])
    assert on_their_way(cancelled) == 3


def test_a_call_of_an_earlier_lease_is_not_counted_again(calls):
    campaign = calls[0].batch.campaign
    Batch.objects.filter(pk=calls[0].batch.pk).update(lease_epoch=7)
    paused = campaign_services.pause(campaign, campaign.user)
    assert on_their_way(paused) == 3


def test_nothing_of_other_campaigns_or_accounts_is_counted(calls):
    mine, other = calls[0].batch.campaign, make_campaign()
    assert on_their_way(campaign_services.pause(other, other.user)) == 0
    suspend_account(mine.account)
    assert (on_their_way_of(mine.account), on_their_way_of(AccountFactory())) == (6, 0)


@pytest.mark.parametrize(
    ("count", "stopped", "goes_on"),
    [
        (0, "Nothing was on its way.", "Nothing is left to be sent."),
        (1, "1 message was already on its way and could not be stopped.", "1 message is still to be sent."),
        (
            1234,
            "1,234 messages were already on their way and could not be stopped.",
            "1,234 messages are still to be sent.",
        ),
    ],
)
def test_words(count, stopped, goes_on):
    assert on_their_way_words(count) == stopped
    assert still_to_send_words(count) == goes_on
