"""Sweeps up what overstays its state. Who owns each state, and until when: `state_owners.py`."""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.transitions import settle_status
from messaging.choices import ATTEMPT, Actor, AttemptState, BatchState, FactSource, MessageStatus, Reason
from messaging.gateways import registry
from messaging.ids import batch_range
from messaging.models import Attempt, Batch
from messaging.outcomes import missing_reports, rounds, settlement
from messaging.outcomes.settlement import Fact
from messaging.restore import detection
from messaging.routing import failover
from messaging.sending import canary, fair_queue, unrouted
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_isolated

logger = logging.getLogger(__name__)

ROWS_PER_SWEEP = 200  # of each kind
CAMPAIGNS_AT_ONCE = 2000  # campaigns whose status is compared with their counters
UNSENT = (BatchState.DEFERRED, BatchState.READY, BatchState.UNKNOWN)  # states in which queued rows are in no call


def sweep() -> dict[str, int]:
    """Make one pass over everything that may be overdue, within TASK_BUDGET. Return what was done, by kind."""
    now = clock.now()
    budget = Budget(settings.TASK_BUDGET)
    overdue = Batch.objects.overdue_leases(now).values_list("pk", flat=True)
    done = {
        "leases": _each(partial(end_lease, now=now), overdue, budget),
        "due": _make_due_ready(now),
        "set aside": fair_queue.set_aside(),  # first, so that the front of the queue is free
        "cancelled": _each(close_unsent, _unsent(status=CampaignStatus.CANCELLED), budget),
        "expired": _each(close_unsent, _unsent(valid_until__lte=now), budget),
        "planned": _each(plan_reports, _unplanned(), budget),
        "unreported": _each(give_up_reports, _unreported(now), budget),
        "settled": _each(partial(_settle, now=now), _unsettled(), budget),
        "routes found": unrouted.look(now),
        "requeued": fair_queue.requeue(),
        "canaries": canary.check_due() + canary.let_follow(),
        "moved": failover.move_all(),
    }
    if done["requeued"]:
        enqueue("messaging.dispatch_singles")
        enqueue("messaging.dispatch_campaigns")
    return {kind: count for kind, count in done.items() if count}


def _each(act: Callable[[int], int], ids: Iterable[int], budget: Budget) -> int:
    """Run `act` on each id by itself, so that a failure stops no other. Return the sum of its results."""
    done = 0
    for pk in list(ids)[:ROWS_PER_SWEEP]:
        if budget.is_over:
            break
        done += run_isolated(act, pk) or 0
    return done


def _make_due_ready(now: datetime) -> int:
    """Make deferred batches ready whose time has come. Return the number. Those without a route stay deferred."""
    due = Batch.objects.filter(state=BatchState.DEFERRED, release_at__lte=now, waits_for_canary=False)
    due.filter(gateway="").update_unlocked(release_at=None)
    return due.exclude(gateway="").update_unlocked(state=BatchState.READY)


def _unsent(**of_campaign: object) -> QuerySet[Batch, int]:
    """Return batches with queued rows of open campaigns. The campaigns, which are few, lead to them."""
    campaigns = Campaign.objects.filter(closed_at=None, queued__gt=0, **of_campaign)
    batches = Batch.objects.filter(campaign__in=campaigns, state__in=UNSENT, queued__gt=0)
    if detection.is_uncertain():
        batches = batches.none()
    return batches.values_list("pk", flat=True)[:ROWS_PER_SWEEP]


def _unplanned() -> Iterator[int]:
    """Yield batches whose messages the provider alone reported as sent: no worker has set their times.

    Two queries, since each has an index and both together have none.
    """
    silent = Batch.objects.filter(sent__gt=0).exclude(state=BatchState.LEASED)
    for untimed in (Q(report_deadline=None), Q(report_check_at=None, report_check_count=0)):
        yield from silent.filter(untimed).values_list("pk", flat=True)[:ROWS_PER_SWEEP]


def _unreported(now: datetime) -> QuerySet[Batch, int]:
    overdue = Batch.objects.filter(sent__gt=0, report_deadline__lte=now).order_by("report_deadline")
    return overdue.values_list("pk", flat=True)[:ROWS_PER_SWEEP]


def _unsettled() -> QuerySet[Campaign, int]:
    """Return campaigns whose counters say that they are complete or closed, and whose status does not.

    Whoever moves the counters sets the status, so a few at a time are enough.
    """
    ids = rounds.next_open("settled", CAMPAIGNS_AT_ONCE)
    if ids:
        rounds.went_on("settled", ids[-1])
    ended = Q(status=CampaignStatus.RUNNING, chunks_done=F("chunk_count")) | Q(
        status__in=(CampaignStatus.COMPLETED, CampaignStatus.CANCELLED), sent__lte=0
    )
    settled = Campaign.objects.filter(ended, pk__in=ids, closed_at=None, queued__lte=0, unknown__lte=0)
    return settled.values_list("pk", flat=True)[:ROWS_PER_SWEEP]


def _settle(campaign_id: int, now: datetime) -> int:
    settle_status([campaign_id], now)
    return 1


def end_lease(batch_id: int, now: datetime) -> int:
    """Take a batch from a worker that has overstayed its lease. Return 0 if it came back in time."""
    with transaction.atomic():
        batch = Batch.objects.overdue_leases(now).filter(pk=batch_id).select_for_update().first()
        if batch is None:
            return 0
        for attempt in batch.attempts.filter(state=AttemptState.OPEN):
            _lose_answer(attempt, now)
        batch.refresh_from_db()
        if batch.lease_count >= settings.MAX_LEASES and batch.queued:
            settlement.control(_queued(batch), MessageStatus.FAILED, Reason.POISON)
            batch.refresh_from_db()
            logger.error("batch %s stopped: %s leases in a row ended without a result", batch.pk, batch.lease_count)
        batch.state = settlement.resting_state(batch)
        batch.lease_owner, batch.lease_until = "", None
        batch.report_deadline = now + timedelta(hours=settings.REPORT_DEADLINE_HOURS)
        batch.save(update_fields=["state", "lease_owner", "lease_until", "report_deadline"])
        logger.warning("the lease of batch %s ran out; it is now %s", batch.pk, batch.state)
    return 1


def _lose_answer(attempt: Attempt, now: datetime) -> None:
    """Give up the answer of a call that has ended without its worker."""
    message_pks = message_rows.read_message_pks(attempt.first, attempt.last, MessageStatus.QUEUED)
    settlement.apply(
        [Fact(message_pk, MessageStatus.UNKNOWN, FactSource.DEADLINE, Reason.ANSWER_LOST) for message_pk in message_pks]
    )
    grace = timedelta(seconds=registry.policy_of(attempt.gateway).lookup_grace)
    sources = ATTEMPT.sources(AttemptState.UNKNOWN, Actor.SWEEP)
    Attempt.objects.filter(pk=attempt.pk, state__in=sources).update(
        state=AttemptState.UNKNOWN,
        finished_at=attempt.deadline,
        detail="The process that made the call is gone.",
        next_lookup_at=now + grace,
    )


def close_unsent(batch_id: int) -> int:
    """Close what a cancelled or expired campaign's batch has not submitted. Return the number of messages.

    Messages in a call follow when the call has ended.
    """
    now = clock.now()
    with transaction.atomic():
        batch = Batch.objects.select_for_update(of=("self",)).select_related("campaign").get(pk=batch_id)
        if batch.state not in UNSENT:
            return 0
        if batch.campaign.status == CampaignStatus.CANCELLED:
            status, reason = MessageStatus.CANCELLED, Reason.CANCELLED
        elif batch.campaign.valid_until and batch.campaign.valid_until <= now:
            status, reason = MessageStatus.EXPIRED, Reason.TOO_LATE
        else:
            return 0
        Batch.objects.filter(pk=batch_id, state=BatchState.DEFERRED).update(state=BatchState.READY)
        return settlement.control(_queued(batch), status, reason).changed


def plan_reports(batch_id: int) -> int:
    """Set when a batch's missing reports are looked up and given up."""
    now = clock.now()
    missing_reports.plan(batch_id, missing_reports.first_check(now))
    deadline = now + timedelta(hours=settings.REPORT_DEADLINE_HOURS)
    return Batch.objects.filter(pk=batch_id, report_deadline=None).update(report_deadline=deadline) or 1


def give_up_reports(batch_id: int) -> int:
    """Close messages whose delivery report never came as unconfirmed. Return their number."""
    silent = message_rows.read_messages(message_rows.read_message_pks(*batch_range(batch_id), MessageStatus.SENT))
    facts = [
        Fact(
            message_pk,
            MessageStatus.UNCONFIRMED,
            FactSource.DEADLINE,
            Reason.NO_RECEIPT if stored.reason == Reason.NO_RECEIPT else Reason.NO_REPORT,
        )
        for message_pk, stored in silent.items()
    ]
    return settlement.apply(facts).changed


def _queued(batch: Batch) -> list[int]:
    return message_rows.read_message_pks(*batch_range(batch.pk), MessageStatus.QUEUED)
