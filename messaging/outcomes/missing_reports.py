"""Delivery reports that have not come are looked up at the provider, before its log ends.

A report can be lost for good: polled, and the process killed before it was stored; pushed, and given up by the
provider. Its log still knows. So each call with messages that are `sent` and silent is looked up at the ages named in
STEPS, small ones together, until it has no silent message or the log is over. What the log says is a fact like any
other. What it does not say proves nothing here: a message nobody ever reports is closed by its report deadline.

    Batch.report_check_at    when the first of its calls is due; the token of whoever checks it
    Attempt.next_lookup_at   of a call that was answered or resolved: when it is due again; empty: not asked yet
"""

import logging
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from messaging.choices import AttemptState, FactSource, MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import MAX_IDS, Lookup
from messaging.ids import batch_range, parse_public_id
from messaging.models import Attempt, Batch
from messaging.outcomes import late_refusals, settlement
from messaging.outcomes.lookups import (
    LOOKED_THROUGH,
    REPORT_CHECKS,
    Allowance,
    grouped,
    is_left_alone,
    wait_after_no_answer,
)
from messaging.querysets import AT_ONCE, each_value
from messaging.routing import rotation
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.core.isolation import run_batched, run_isolated

logger = logging.getLogger(__name__)

#: Age of a call when it is looked up, in units of REPORT_CHECK_AFTER: 15 minutes, 1, 4, 12, 24 and 46 hours.
STEPS = (1, 4, 16, 48, 96, 184)
#: Calls that the provider has, or had. `reconciliation.py` looks up unknown ones.
TAKEN = (AttemptState.ANSWERED, AttemptState.RESOLVED)
_GATEWAY = attrgetter("gateway")


def plan(batch_id: int, at: datetime) -> None:
    """Have a batch with silent messages checked at that time, or earlier if that is planned already."""
    later = Q(report_check_at=None) | Q(report_check_at__gt=at)
    Batch.objects.filter(later, pk=batch_id, sent__gt=0).update(report_check_at=at)


def first_check(now: datetime) -> datetime:
    """Return when a call that was answered now is looked up for the first time."""
    return now + _age(STEPS[0])


def recheck_all() -> None:
    """Look up every call with silent messages at once, however lately that was done.

    Reports that came in a time that a restored database has forgotten do not come again.
    """
    now, after = clock.now(), 0
    silent = Batch.objects.filter(sent__gt=0)
    in_order = silent.order_by("pk").values_list("pk", flat=True)
    while batches := list(in_order.filter(pk__gt=after)[:AT_ONCE]):
        put_off = Attempt.objects.filter(batch__in=batches, state__in=TAKEN, next_lookup_at__gt=now)
        while calls := list(put_off.values_list("pk", flat=True)[:AT_ONCE]):
            Attempt.objects.filter(pk__in=calls).update(next_lookup_at=None)
        after = batches[-1]
    later = silent.filter(Q(report_check_at=None) | Q(report_check_at__gt=now))
    while later.update_unlocked(report_check_at=now):
        pass


class Claimed(NamedTuple):
    """A batch that nobody else checks until `token`, and its calls that are due and may hold silent messages."""

    batch_id: int
    token: datetime
    calls: list[Attempt]


def check_due(allowance: Allowance) -> int:
    """Check due batches, gateway by gateway, the longest waiting first. Return the number of messages that changed."""
    silent = Batch.objects.filter(sent__gt=0)
    changed = 0
    for gateway in rotation.in_turn(REPORT_CHECKS, each_value(silent, "gateway")):
        due = silent.filter(gateway=gateway, report_check_at__lte=clock.now()).order_by("report_check_at")
        batches = iter(due.only("gateway", "report_check_at")[:LOOKED_THROUGH])
        while allowance.allows(gateway) and (claimed := _claim_some(batches)):
            rotation.note_turn(REPORT_CHECKS, gateway)
            changed += check(claimed, allowance)
    return changed


def _claim_some(due: Iterator[Batch]) -> list[Claimed]:
    """Claim as many as about fill one question, at least one. Return none if no more are due."""
    claimed: list[Claimed] = []
    size = 0
    while size < MAX_IDS and (batch := next(due, None)):
        if one := run_isolated(claim, batch):
            claimed.append(one)
            size += max(1, sum(call.message_count for call in one.calls))
    return claimed


def claim(batch: Batch) -> Claimed | None:
    """Claim a batch. Return None if another worker has claimed it."""
    now = clock.now()
    token = now + timedelta(seconds=settings.TASK_BUDGET + settings.GATEWAY_TIMEOUT)
    mine = Batch.objects.filter(pk=batch.pk, report_check_at=batch.report_check_at)
    if not mine.update(report_check_at=token):
        return None
    calls = [call for call in _with_silent(batch.pk) if not _is_put_off(call, now) and now < _log_end(call)]
    return Claimed(batch.pk, token, calls)


def check(batches: Sequence[Claimed], allowance: Allowance) -> int:
    """Look up the calls of claimed batches and plan each batch anew. Return the number of messages that changed.

    About as many calls of a gateway are asked about at once as fit in one question.
    """
    due = sorted((call for batch in batches for call in batch.calls), key=_GATEWAY)
    changed, left = 0, set(due)
    for _, calls in groupby(due, key=_GATEWAY):
        for group in grouped(calls):
            if not allowance.allows(group[0].gateway):
                break
            left.difference_update(group)
            changed += _look_up(group, allowance)
    for batch in batches:
        run_isolated(partial(_plan_next, left=left.intersection(batch.calls)), batch)
    return changed


def _look_up(calls: Sequence[Attempt], allowance: Allowance) -> int:
    answers = run_batched(partial(_ask, allowance=allowance), calls)
    changed = {call: run_isolated(partial(record, call), answer) for call, answer in answers}
    for call in calls:
        if changed.get(call) is None:  # something is wrong with this call; it must not block the others
            _ask_again(call, clock.now() + wait_after_no_answer(call.gateway))
    return sum(filter(None, changed.values()))


def _ask(calls: Sequence[Attempt], allowance: Allowance) -> list[tuple[Attempt, Lookup]]:
    """Ask within the allowance. Where a common question fails, its calls are asked about one by one."""
    if not allowance.allows(calls[0].gateway):
        return []
    return list(zip(calls, allowance.look_up(calls, MessageStatus.SENT), strict=True))


def record(attempt: Attempt, answer: Lookup) -> int:
    """Apply what the log says of one call and set its next look-up. A provider that does not tell uses up no step."""
    told = [report._replace(reference=report.reference or attempt.reference) for report in answer.reports]
    told = [report for report in told if attempt.first <= (parse_public_id(report.message_id) or 0) <= attempt.last]
    with transaction.atomic():
        applied = settlement.apply(settlement.facts_from(told, FactSource.LOOKUP)[0])
        refused = late_refusals.apply_late_refusals([report for report in told if report.account_refused])
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


def _plan_next(claimed: Claimed, left: Collection[Attempt]) -> None:
    """Set when the batch is due: with the first of its calls.

    Calls that are left are due as soon as they can be asked about. Nothing is set if somebody has planned it anew
    meanwhile.
    """
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=claimed.batch_id)
        if batch.report_check_at != claimed.token:
            return
        now = clock.now()
        calls = [call for call in _with_silent(batch.pk) if max(now, _due(call)) < _log_end(call)]
        times = [_free_at(call, now) if call in left else max(now, _due(call)) for call in calls]
        batch.report_check_at = min(times, default=None)
        batch.save(update_fields=["report_check_at"])


def _free_at(call: Attempt, now: datetime) -> datetime:
    """Return when a due call that could not be asked about can be."""
    return now + wait_after_no_answer(call.gateway) if is_left_alone(call.gateway) else now


def _with_silent(batch_id: int) -> list[Attempt]:
    """Return the calls of a batch whose range has `sent` messages, the oldest first."""
    silent = message_rows.read_message_pks(*batch_range(batch_id), MessageStatus.SENT)
    attempts = Attempt.objects.filter(batch_id=batch_id, state__in=TAKEN).order_by("pk")
    return [attempt for attempt in attempts if _spans(attempt, silent)]


def _spans(attempt: Attempt, message_pks: Sequence[int]) -> bool:
    """Return whether the call's range holds any of these sorted keys."""
    index = bisect_left(message_pks, attempt.first)
    return index < len(message_pks) and message_pks[index] <= attempt.last


def _due(attempt: Attempt) -> datetime:
    return attempt.next_lookup_at or _ended(attempt) + _age(STEPS[0])


def _is_put_off(attempt: Attempt, now: datetime) -> bool:
    """Return whether a call is not asked about yet. One that was never asked about is asked with its batch."""
    return attempt.next_lookup_at is not None and attempt.next_lookup_at > now


def _next_step(attempt: Attempt, now: datetime) -> datetime:
    """The first step that is still to come; the end of the log, at which nobody asks, if there is none."""
    ended, log_end = _ended(attempt), _log_end(attempt)
    return min([moment for step in STEPS if now < (moment := ended + _age(step)) < log_end], default=log_end)


def _log_end(attempt: Attempt) -> datetime:
    return _ended(attempt) + timedelta(seconds=registry.policy_of(attempt.gateway).close_unknown_after)


def _ended(attempt: Attempt) -> datetime:
    assert attempt.finished_at is not None
    return attempt.finished_at


def _age(step: int) -> timedelta:
    return timedelta(seconds=step * settings.REPORT_CHECK_AFTER)


def _ask_again(attempt: Attempt, at: datetime) -> None:
    Attempt.objects.filter(pk=attempt.pk, state__in=TAKEN).update(next_lookup_at=at)
