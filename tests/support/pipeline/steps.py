"""Single steps of dispatch, for tests that look at what is between them."""

from datetime import timedelta

from django.utils import timezone

from campaigns.models import Campaign
from messaging.choices import Lane
from messaging.gateways.base import Unknown
from messaging.models import Attempt, Batch
from messaging.sending import leases, record, submit
from messaging.sending.expansion import expand_chunk
from messaging.sending.prepare import open_attempts
from messaging.sending.submit import Call
from messaging.upkeep import sweeps


def opened_of(batch: Batch) -> Call | None:
    """The call that may begin for a leased batch."""
    return next(iter(open_attempts([batch])), None)


def send_batches(count: int) -> None:
    """Lease so many batches, and submit one call of each."""
    for batch in leases.lease(Lane.CAMPAIGNS, count):
        call = opened_of(batch)
        assert call is not None
        record.record(submit.make_call(call))


def expand_one_chunk(campaign: Campaign) -> None:
    """Expand the first chunk, and let go of the campaign."""
    assert expand_chunk(campaign, 0)
    Campaign.objects.update(expansion_lease_until=None)


def opened():
    """A call that may begin, of the only ready batch."""
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    assert call is not None
    return call


def lose(call) -> Attempt:
    """Its answer is lost; long enough ago that absence would be proof."""
    record.record(submit.Result(call, error=Unknown("lost")))
    long_ago = timezone.now() - timedelta(minutes=5)
    Attempt.objects.filter(pk=call.attempt.pk).update(finished_at=long_ago, next_lookup_at=long_ago)
    return Attempt.objects.get(pk=call.attempt.pk)


def overdue() -> None:
    """Let every lease run out, and sweep."""
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
