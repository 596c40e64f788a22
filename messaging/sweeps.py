"""Every state that is not final has an owner and a deadline; what overstays it is swept up here.

batch leased      the worker      lease_until       open attempt -> unknown; none -> ready again; 5 times -> failed
batch held        the clock       release_at        -> ready
batch unknown     look-ups        next_lookup_at    see reconciliation.py
message queued    dispatch        valid_until       -> expired; campaign cancelled -> cancelled
message sent      the provider    report_deadline   -> unconfirmed (no report)
campaign running  the pipeline    its own counters  -> completed; nothing left to learn -> closed
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from campaigns.choices import CampaignStatus
from campaigns.services import settle_status
from messaging import bulk, clock, gateways, settlement
from messaging.choices import AttemptState, BatchState, FactSource, MessageStatus, Reason
from messaging.identity import batch_range
from messaging.models import Attempt, Batch, ReportInbox
from messaging.settlement import Fact

logger = logging.getLogger(__name__)

BATCHES_PER_SWEEP = 200
UNSENT = (BatchState.HELD, BatchState.READY)


def sweep() -> dict[str, int]:
    """One pass over everything that may be overdue; what was done, by kind."""
    now = clock.now()
    done = {
        "leases": sum(end_lease(batch.pk, now) for batch in Batch.objects.overdue_leases(now)[:BATCHES_PER_SWEEP]),
        "released": Batch.objects.filter(state=BatchState.HELD, release_at__lte=now).update(state=BatchState.READY),
        "cancelled": close_unsent_of_cancelled(),
        "expired": close_unsent_of_expired(now),
        "unreported": give_up_reports(now),
    }
    settle_status(None, now)
    return {kind: count for kind, count in done.items() if count}


def end_lease(batch_id: int, now: datetime) -> bool:
    """Take a batch from a worker that has overstayed its lease; False if it came back in time."""
    with transaction.atomic():
        batch = Batch.objects.overdue_leases(now).filter(pk=batch_id).select_for_update().first()
        if batch is None:
            return False
        for attempt in batch.attempts.filter(state=AttemptState.OPEN):
            _lose_answer(attempt, now)
        batch.refresh_from_db()
        if batch.lease_count >= settings.MAX_LEASES and batch.queued:
            numbers = bulk.read_numbers(*batch_range(batch.pk), MessageStatus.QUEUED)
            settlement.control(numbers, MessageStatus.FAILED, Reason.POISON)
            batch.refresh_from_db()
            logger.error("batch %s stopped: %s leases in a row ended without a result", batch.pk, batch.lease_count)
        batch.state = settlement.resting_state(batch)
        batch.lease_owner, batch.lease_until = "", None
        batch.report_deadline = now + timedelta(hours=settings.REPORT_DEADLINE_HOURS)
        batch.save(update_fields=["state", "lease_owner", "lease_until", "report_deadline"])
        logger.warning("the lease of batch %s ran out; it is now %s", batch.pk, batch.state)
    return True


def _lose_answer(attempt: Attempt, now: datetime) -> None:
    """The worker is gone and its call has ended, nobody knows how."""
    numbers = bulk.read_numbers(attempt.first, attempt.last, MessageStatus.QUEUED)
    settlement.apply(
        [Fact(number, MessageStatus.UNKNOWN, FactSource.DEADLINE, Reason.ANSWER_LOST) for number in numbers]
    )
    grace = timedelta(seconds=gateways.get(attempt.gateway).policy.lookup_grace)
    Attempt.objects.filter(pk=attempt.pk, state=AttemptState.OPEN).update(
        state=AttemptState.UNKNOWN,
        finished_at=attempt.deadline,
        detail="The process that made the call is gone.",
        next_lookup_at=now + grace,
    )


def close_unsent_of_cancelled() -> int:
    """Close the batches of cancelled campaigns; how many messages. Those in a call follow when it has ended."""
    batches = Batch.objects.filter(state__in=UNSENT, campaign__status=CampaignStatus.CANCELLED)
    return _close_unsent(batches.values_list("pk", flat=True)[:BATCHES_PER_SWEEP], MessageStatus.CANCELLED)


def close_unsent_of_expired(now: datetime) -> int:
    """Close the batches of campaigns whose validity is over, running or not; how many messages."""
    batches = Batch.objects.filter(state__in=UNSENT, campaign__valid_until__lte=now)
    return _close_unsent(batches.values_list("pk", flat=True)[:BATCHES_PER_SWEEP], MessageStatus.EXPIRED)


CLOSING_REASON = {MessageStatus.CANCELLED: Reason.CANCELLED, MessageStatus.EXPIRED: Reason.TOO_LATE}


def _close_unsent(batch_ids: Iterable[int], status: MessageStatus) -> int:
    closed = 0
    for batch_id in list(batch_ids):
        with transaction.atomic():
            batch = Batch.objects.select_for_update().filter(pk=batch_id, state__in=UNSENT).first()
            if batch is None:
                continue
            numbers = bulk.read_numbers(*batch_range(batch.pk), MessageStatus.QUEUED)
            closed += settlement.control(numbers, status, CLOSING_REASON[status]).changed
            Batch.objects.filter(pk=batch_id, state=BatchState.HELD).update(state=BatchState.DONE)
    return closed


def give_up_reports(now: datetime) -> int:
    """Messages whose delivery report never came are closed as unconfirmed; how many."""
    overdue = Batch.objects.filter(sent__gt=0, report_deadline__lte=now).order_by("report_deadline")
    closed = 0
    for batch in overdue[:BATCHES_PER_SWEEP]:
        numbers = bulk.read_numbers(*batch_range(batch.pk), MessageStatus.SENT)
        facts = [Fact(number, MessageStatus.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_REPORT) for number in numbers]
        closed += settlement.apply(facts).changed
    return closed


def purge(now: datetime) -> int:
    """Remove report bodies that were applied, or could not be, longer ago than they are kept."""
    old = now - timedelta(hours=settings.REPORT_INBOX_HOURS)
    removed, _ = ReportInbox.objects.filter(received_at__lt=old).delete()
    return removed
