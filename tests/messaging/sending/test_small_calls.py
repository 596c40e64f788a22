"""A call carries fewer messages than its batch: what becomes of one says nothing of the others, and stops none."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import services as campaign_services
from messaging.choices import BatchState, FactSource, Lane, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import Report, Unknown
from messaging.models import Attempt, Batch, Message
from messaging.outcomes import reconciliation, settlement
from messaging.sending import dispatch, fair_queue, leases, record, submit
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps
from tests.support.factories import make_campaign
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import opened_of

pytestmark = pytest.mark.django_db
S = MessageStatus


@pytest.fixture
def in_sevens(simulator, settings):
    """Calls of seven from batches of twenty; what is not known is never sent again."""
    settings.SIMULATOR_RESEND_UNKNOWN_AFTER = None
    settings.SIMULATOR_UNKNOWN_GRACE = 3600.0
    return simulator


def opened(size: int = 7) -> submit.Call:
    """The next call of the only ready batch."""
    Batch.objects.update(call_size=size)
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    assert call is not None
    return call


def lose(call: submit.Call) -> Attempt:
    record.record(submit.Result(call, error=Unknown("lost")))
    return Attempt.objects.get(pk=call.attempt.pk)


def answer(call: submit.Call) -> None:
    record.record(submit.make_call(call))


def look_up(attempt: Attempt, *, long_ago: bool = False) -> bool:
    """Whether nothing of it is unknown any more."""
    lost_at = timezone.now() - timedelta(minutes=5) if long_ago else attempt.finished_at
    Attempt.objects.filter(pk=attempt.pk).update(finished_at=lost_at, next_lookup_at=timezone.now())
    attempt.refresh_from_db()
    asked = reconciliation.ask(attempt)
    assert asked is not None
    return reconciliation.record(asked)


def ranges() -> list[tuple[int, int]]:
    """Places of the first and the last message of each call, in its batch."""
    return [(first & 1023, last & 1023) for first, last in Attempt.objects.order_by("pk").values_list("first", "last")]


def test_the_rest_of_a_batch_leaves_beside_a_lost_answer(in_sevens):
    campaign = make_campaign(count=20)
    expand_ready()
    lose(opened())
    assert (Batch.objects.get().state, statuses()) == (BatchState.READY, {"unknown": 7, "queued": 13})
    send()
    assert statuses() == {"unknown": 7, "sent": 13}
    assert Batch.objects.get().state == BatchState.UNKNOWN
    assert ranges()[0] == (0, 6)
    assert all(first > 6 for first, _ in ranges()[1:])
    assert_counted(campaign)


def test_the_rest_of_a_batch_leaves_beside_a_worker_that_died(in_sevens):
    make_campaign(count=20)
    expand_ready()
    opened()
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    send()
    assert statuses() == {"unknown": 7, "sent": 13}


def test_a_single_send_to_many_does_not_wait_for_its_first_call(in_sevens, settings):
    campaign = make_campaign(count=20, kind="single")
    expand_ready()
    Batch.objects.update(call_size=7)
    (batch,) = leases.lease(Lane.SINGLES, 1)
    record.record(submit.Result(opened_of(batch), error=Unknown("lost")))
    dispatch.dispatch_ready(Lane.SINGLES, seconds=5)
    assert statuses() == {"unknown": 7, "sent": 13}
    assert_counted(campaign)


def test_no_call_spans_a_message_whose_outcome_is_unknown(in_sevens, settings):
    """The first call's messages come back as absent while the second's are unknown."""
    make_campaign(count=20)
    expand_ready()
    first = lose(opened())
    lose(opened())
    settings.SIMULATOR_RESEND_UNKNOWN_AFTER = 0.0
    registry.reset()
    look_up(first, long_ago=True)
    assert statuses() == {"queued": 13, "unknown": 7}
    answer(opened(size=1000))
    answer(opened(size=1000))
    assert ranges()[2:] == [(0, 6), (14, 19)]
    assert statuses() == {"sent": 13, "unknown": 7}
    assert max(Counter(in_sevens.accepted_ids()).values()) == 1


def test_a_late_look_up_settles_its_own_messages_and_no_others(in_sevens):
    """The lost call had arrived; its look-up comes while the rest is under way."""
    make_campaign(count=20)
    expand_ready()
    call = opened()
    submit.make_call(call)
    attempt = lose(call)
    under_way = opened()
    assert look_up(attempt)
    assert Batch.objects.get().state == BatchState.LEASED
    answer(under_way)
    eventually(lambda: statuses() == {"delivered": 20}, run_dry)
    assert max(Counter(in_sevens.accepted_ids()).values()) == 1


def test_a_report_for_the_last_queued_message_leaves_a_batch_to_its_look_ups(in_sevens):
    make_campaign(count=8)
    expand_ready()
    lose(opened())
    last = Message.objects.get(status=S.QUEUED)
    settlement.apply(settlement.facts_from([Report(last.message_id, S.DELIVERED)], FactSource.PUSH)[0])
    assert Batch.objects.get().state == BatchState.UNKNOWN


def test_a_paused_campaign_sends_the_rest_once_it_is_resumed(in_sevens):
    campaign = make_campaign(count=20)
    expand_ready()
    lose(opened())
    campaign_services.pause(campaign, campaign.user)
    fair_queue.set_aside()
    assert Batch.objects.get().state == BatchState.DEFERRED
    assert send() == 0
    campaign.refresh_from_db()
    campaign_services.resume(campaign, campaign.user)
    fair_queue.requeue()
    send()
    assert statuses() == {"unknown": 7, "sent": 13}


def test_cancelling_closes_the_rest_and_leaves_the_lost_call_to_its_look_up(in_sevens):
    campaign = make_campaign(count=20)
    expand_ready()
    lose(opened())
    campaign_services.cancel(campaign, campaign.user)
    sweeps.sweep()
    assert statuses() == {"unknown": 7, "cancelled": 13}
    assert Batch.objects.get().state == BatchState.UNKNOWN
    assert_counted(campaign)


def test_a_time_out_makes_the_next_calls_smaller(simulator, settings):
    """Those of other batches: nothing of its own is left to call."""
    settings.GATEWAY_TIMEOUT, settings.SIMULATOR_UNKNOWN_GRACE = 0.3, 3600.0
    registry.reset()
    make_campaign(count=200)
    expand_ready()
    simulator.set_faults(hang_before=1.0)
    record.record_all([submit.make_call(opened(size=1000))])
    simulator.set_faults()
    make_campaign(count=200)
    expand_ready()
    send()
    assert list(Attempt.objects.order_by("pk").values_list("message_count", flat=True)) == [200, 100, 100]
