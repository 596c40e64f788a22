"""Delivery reports that have not come are looked up at the provider, before its log ends.

A report can be lost for good: polled, and the process killed before it was stored; pushed, and given up by the
provider. Its log still knows. So each call with messages that are `sent` and silent is looked up by its reference,
at the ages named in STEPS, until it has no silent message or the log is over. What the log says is a fact like any
other. What it does not say proves nothing here: a message nobody ever reports is closed by its report deadline.

    Batch.report_check_at    when the first of its calls is due; the token of whoever checks it
    Attempt.next_lookup_at   of a call that was answered or cleared up: when it is due again; empty: not asked yet
"""

import logging
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from messaging import bulk, clock, gateways, settlement
from messaging.choices import AttemptState, FactSource, MessageStatus
from messaging.gateways.base import Lookup
from messaging.identity import batch_range, number_of
from messaging.lookups import LOOKED_THROUGH, Allowance, wait_after_no_answer
from messaging.models import Attempt, Batch
from smsapp.apart import apart

logger = logging.getLogger(__name__)

#: Age of a call when it is looked up, in units of REPORT_CHECK_AFTER: 15 minutes, 1, 4, 12, 24 and 46 hours.
STEPS = (1, 4, 16, 48, 96, 184)
#: Calls that the provider has, or had. An unknown one is looked up by `reconciliation.py`.
TAKEN = (AttemptState.ANSWERED, AttemptState.RESOLVED)


def plan(batch_id: int, at: datetime) -> None:
    """Have a batch with silent messages checked at that time, or earlier where that is planned already."""
    later = Q(report_check_at=None) | Q(report_check_at__gt=at)
    Batch.objects.filter(later, pk=batch_id, sent__gt=0).update(report_check_at=at)


def first_check(now: datetime) -> datetime:
    """When a call that was answered now is looked up for the first time."""
    return now + _age(STEPS[0])


def check_due(allowance: Allowance) -> int:
    """Check batches whose time has come, those that wait longest first; how many messages that changed."""
    due = Batch.objects.filter(sent__gt=0, report_check_at__lte=clock.now()).order_by("report_check_at")
    changed = 0
    for batch in due.only("gateway", "report_check_at")[:LOOKED_THROUGH]:
        if allowance.is_over:
            break
        if allowance.allows(batch.gateway):
            changed += apart(partial(check, allowance=allowance), batch) or 0
    return changed


def check(batch: Batch, allowance: Allowance) -> int:
    """Look up the calls of a batch that are due and may hold silent messages; how many messages that changed."""
    now = clock.now()
    token = now + timedelta(seconds=settings.TASK_BUDGET + settings.GATEWAY_TIMEOUT)
    mine = Batch.objects.filter(pk=batch.pk, report_check_at=batch.report_check_at)
    if not mine.update(report_check_at=token):
        return 0
    changed, rest = 0, None
    for attempt in _with_silent(batch.pk):
        if _is_put_off(attempt, now) or _log_end(attempt) <= now:
            continue
        if not allowance.allows(attempt.gateway):
            is_silent = attempt.gateway in allowance.silent
            rest = now + wait_after_no_answer(attempt.gateway) if is_silent else now
            break
        told = apart(partial(_ask, allowance=allowance), attempt)
        if told is None:  # something is wrong with this one; it must not stand in the way of the others
            _ask_again(attempt, now + wait_after_no_answer(attempt.gateway))
        changed += told or 0
    _plan_next(batch.pk, token, rest)
    return changed


def _ask(attempt: Attempt, allowance: Allowance) -> int:
    return record(attempt, allowance.look_up(attempt))


def record(attempt: Attempt, answer: Lookup) -> int:
    """Apply what the log says of one call and set its next look-up; a provider that would not tell uses up no step."""
    told = [report._replace(reference=report.reference or attempt.reference) for report in answer.reports]
    told = [report for report in told if attempt.first <= (number_of(report.message_id) or 0) <= attempt.last]
    with transaction.atomic():
        applied = settlement.apply(settlement.facts_from(told, FactSource.LOOKUP)[0])
        refused = settlement.apply_late_refusals([report for report in told if report.account_refused])
        now = clock.now()
        if answer.conclusive:
            Batch.objects.filter(pk=attempt.batch_id).update(report_check_count=F("report_check_count") + 1)
            Attempt.objects.filter(pk=attempt.pk).update(lookup_count=F("lookup_count") + 1)
            _ask_again(attempt, _next_step(attempt, now))
        else:
            _ask_again(attempt, now + wait_after_no_answer(attempt.gateway))
    changed = applied.changed + refused.changed
    if changed:
        logger.warning("call %s: the log told of %s messages what no report had", attempt.reference, changed)
    return changed


def _plan_next(batch_id: int, token: datetime, rest: datetime | None) -> None:
    """The batch is due when the first of its calls is, or at `rest`, if calls are left that were not asked about.
    Nothing, if somebody has planned it anew meanwhile."""
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        if batch.report_check_at != token:
            return
        now = clock.now()
        times = [_due(attempt) for attempt in _with_silent(batch_id) if max(now, _due(attempt)) < _log_end(attempt)]
        batch.report_check_at = rest or (max(now, min(times)) if times else None)
        batch.save(update_fields=["report_check_at"])


def _with_silent(batch_id: int) -> list[Attempt]:
    """The calls of a batch whose slice has messages that are `sent`, the oldest first."""
    silent = bulk.read_numbers(*batch_range(batch_id), MessageStatus.SENT)
    attempts = Attempt.objects.filter(batch_id=batch_id, state__in=TAKEN).order_by("pk")
    return [attempt for attempt in attempts if _spans(attempt, silent)]


def _spans(attempt: Attempt, numbers: Sequence[int]) -> bool:
    """Whether any of the numbers, which are in order, is between its first and last."""
    place = bisect_left(numbers, attempt.first)
    return place < len(numbers) and numbers[place] <= attempt.last


def _due(attempt: Attempt) -> datetime:
    return attempt.next_lookup_at or _ended(attempt) + _age(STEPS[0])


def _is_put_off(attempt: Attempt, now: datetime) -> bool:
    """One that was never asked about is asked whenever its batch is."""
    return attempt.next_lookup_at is not None and attempt.next_lookup_at > now


def _next_step(attempt: Attempt, now: datetime) -> datetime:
    """The first step that is still to come; the end of the log, at which nobody asks, if there is none."""
    ended, log_end = _ended(attempt), _log_end(attempt)
    return min([moment for step in STEPS if now < (moment := ended + _age(step)) < log_end], default=log_end)


def _log_end(attempt: Attempt) -> datetime:
    return _ended(attempt) + timedelta(seconds=gateways.policy_of(attempt.gateway).close_unknown_after)


def _ended(attempt: Attempt) -> datetime:
    assert attempt.finished_at is not None
    return attempt.finished_at


def _age(step: int) -> timedelta:
    return timedelta(seconds=step * settings.REPORT_CHECK_AFTER)


def _ask_again(attempt: Attempt, at: datetime) -> None:
    Attempt.objects.filter(pk=attempt.pk, state__in=TAKEN).update(next_lookup_at=at)
