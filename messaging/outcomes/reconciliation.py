"""Unknown outcomes are looked up at the provider, by the attempt's reference, until they are facts.

An attempt is `unknown` when its answer was lost, or when the worker that made the call is gone. After a grace period
the provider is asked, about as many small calls at once as fit in one question. What it knows is applied like any
delivery report. What it does not know is resent only where the gateway's policy names a time after which absence is
proof, and only after that time; otherwise it is closed as `unconfirmed` when the provider's log ends.

The rest of a task's look-ups goes to reports that have not come (`missing_reports.py`). Each has its own time, so a
provider that hangs holds up neither for long.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F

from campaigns.transitions import pause_for_gateway
from messaging.choices import ATTEMPT, Actor, AttemptState, FactSource, MessageStatus, Reason
from messaging.gateways import registry
from messaging.gateways.base import Lookup, Policy, Report
from messaging.ids import parse_public_id
from messaging.models import Attempt, Batch
from messaging.outcomes import missing_reports, settlement
from messaging.outcomes.late_refusals import ACCOUNT_REFUSED
from messaging.outcomes.lookups import LOOK_UPS, LOOKED_THROUGH, Allowance, grouped, is_left_alone, wait_after_no_answer
from messaging.outcomes.settlement import Fact
from messaging.querysets import each_value
from messaging.routing import rotation
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.core.isolation import run_isolated
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

#: Waits between look-ups, in units of the gateway's grace: 5, 15, 60 minutes, 6 and 23 hours at 5 minutes.
LOOKUP_STEPS = (1, 3, 12, 72, 276)
LAST_LOOK = 0.98  # share of the time for which the provider's log knows a call: 46 of 47 hours


@dataclass(frozen=True, slots=True)
class Answered:
    """A claimed attempt, when the provider was asked about it, and what it said."""

    attempt: Attempt
    at: datetime
    answer: Lookup


def reconcile() -> int:
    """Look up due attempts, gateway by gateway, then missing reports. Return the number of resolved attempts."""
    allowance = Allowance()
    resolved = 0
    unknown = Attempt.objects.filter(state=AttemptState.UNKNOWN)
    for gateway in rotation.in_turn(LOOK_UPS, each_value(unknown, "gateway")):
        resolved += _look_up_due(gateway, allowance)
    allowance.begin()
    missing_reports.check_due(allowance)
    return resolved


def _look_up_due(gateway: str, allowance: Allowance) -> int:
    """Look up one gateway's due attempts, the longest waiting first. Return the number of resolved ones.

    Once it does not tell, attempts that its log has forgotten are closed without asking: there may be many, and the
    gateway is left alone for longer than each can wait.
    """
    resolved = 0
    for attempts in grouped(Attempt.objects.to_look_up(gateway, clock.now())[:LOOKED_THROUGH]):
        if is_left_alone(gateway):
            resolved += sum(
                bool(run_isolated(_close, attempt)) for attempt in attempts if _is_over(attempt, clock.now())
            )
            continue
        if not allowance.allows(gateway):
            break
        rotation.note_turn(LOOK_UPS, gateway)
        for answered in run_isolated(partial(ask_together, allowance=allowance), attempts) or ():
            resolved += bool(run_isolated(record, answered))
    return resolved


def ask(attempt: Attempt, allowance: Allowance | None = None) -> Answered | None:
    """Claim an attempt and ask the provider. Return None if another worker has claimed it."""
    return next(iter(ask_together([attempt], allowance or Allowance())), None)


def ask_together(attempts: Sequence[Attempt], allowance: Allowance) -> list[Answered]:
    """Claim attempts of one gateway and ask about all of them at once. Leave out those that others have claimed."""
    asked_at = clock.now()
    claimed = [attempt for attempt in attempts if _claim(attempt, asked_at)]
    if not claimed:
        return []
    answers = allowance.look_up(claimed, MessageStatus.UNKNOWN)
    return [Answered(attempt, asked_at, answer) for attempt, answer in zip(claimed, answers, strict=True)]


def _close(attempt: Attempt) -> bool:
    now = clock.now()
    return _claim(attempt, now) and record(Answered(attempt, now, Lookup()))


def record(answered: Answered) -> bool:
    """Apply what the provider said. Return True if nothing of the attempt is unknown any more.

    What it knows is a fact whenever it is learned. What it does not know, and what it refused because of our account,
    counts only while the claim is ours, and only for messages that no later call has carried.
    """
    attempt, answer = answered.attempt, answered.answer
    facts, _ = settlement.facts_from(answer.reports, FactSource.LOOKUP)
    refused = [report for report in answer.reports if report.account_refused]
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=attempt.batch_id)
        settlement.apply([fact for fact in facts if attempt.first <= fact.message_pk <= attempt.last])
        if not _is_claimed(attempt):
            return False
        settlement.control(_last_carried_by(attempt, _message_pks(refused)), MessageStatus.QUEUED, Reason.NONE)
        if absent := _still_unknown(attempt):
            _settle_absent(answered, absent)
        resolved = not _still_unknown(attempt)
        if resolved:
            sources = ATTEMPT.sources(AttemptState.RESOLVED, Actor.LOOKUP)
            mine = Attempt.objects.filter(pk=attempt.pk, state__in=sources)
            mine.update(state=AttemptState.RESOLVED, next_lookup_at=None)
            missing_reports.plan(attempt.batch_id, missing_reports.first_check(clock.now()))
        elif not answer.conclusive:
            _put_off(attempt)
    if refused:
        pause_for_gateway(attempt.batch.campaign_id, Sentence(ACCOUNT_REFUSED, status=refused[0].provider_status))
    return resolved


def _claim(attempt: Attempt, now: datetime) -> bool:
    """Claim one look-up, by setting the next one before this one begins.

    That moment is our token: a worker that was frozen in between finds another one, and what it did not find proves
    nothing any more.
    """
    before = attempt.next_lookup_at
    step = LOOKUP_STEPS[min(attempt.lookup_count + 1, len(LOOKUP_STEPS) - 1)]
    wait = max(_policy(attempt).lookup_grace * step, settings.GATEWAY_TIMEOUT)
    attempt.next_lookup_at = _in_time(attempt, now, now + timedelta(seconds=wait))
    claimed = Attempt.objects.filter(pk=attempt.pk, state=AttemptState.UNKNOWN, next_lookup_at=before).update(
        lookup_count=F("lookup_count") + 1, next_lookup_at=attempt.next_lookup_at
    )
    return claimed == 1


def _in_time(attempt: Attempt, now: datetime, planned: datetime) -> datetime:
    """Return the planned look-up time, or one shortly before the provider's log ends, or the last one after its end."""
    assert attempt.finished_at is not None
    end = attempt.finished_at + timedelta(seconds=_policy(attempt).close_unknown_after)
    last_look = attempt.finished_at + (end - attempt.finished_at) * LAST_LOOK
    return min(planned, last_look if now < last_look else max(end, now + timedelta(seconds=1)))


def _is_claimed(attempt: Attempt) -> bool:
    mine = Attempt.objects.filter(pk=attempt.pk, state=AttemptState.UNKNOWN, next_lookup_at=attempt.next_lookup_at)
    return mine.exists()


def _put_off(attempt: Attempt) -> None:
    """Ask again later, without using up a step: the provider did not tell."""
    at = clock.now() + wait_after_no_answer(attempt.gateway)
    Attempt.objects.filter(pk=attempt.pk).update(lookup_count=F("lookup_count") - 1, next_lookup_at=at)


def _still_unknown(attempt: Attempt) -> list[int]:
    return _last_carried_by(attempt, message_rows.read_message_pks(attempt.first, attempt.last, MessageStatus.UNKNOWN))


def _last_carried_by(attempt: Attempt, message_pks: Sequence[int]) -> list[int]:
    """Return the messages that no later call of the batch has carried. This attempt says nothing about the others."""
    later = list(Attempt.objects.filter(batch_id=attempt.batch_id, pk__gt=attempt.pk).values_list("first", "last"))
    return [message_pk for message_pk in message_pks if not any(first <= message_pk <= last for first, last in later)]


def _message_pks(reports: Sequence[Report]) -> list[int]:
    return [message_pk for report in reports if (message_pk := parse_public_id(report.message_id)) is not None]


def _policy(attempt: Attempt) -> Policy:
    return registry.policy_of(attempt.gateway)


def _is_over(attempt: Attempt, now: datetime) -> bool:
    """Return whether the provider's log has forgotten the call: then absence proves nothing."""
    assert attempt.finished_at is not None
    return (now - attempt.finished_at).total_seconds() >= _policy(attempt).close_unknown_after


def _settle_absent(answered: Answered, absent: list[int]) -> None:
    attempt, policy = answered.attempt, _policy(answered.attempt)
    assert attempt.finished_at is not None
    age = (answered.at - attempt.finished_at).total_seconds()
    resend_after = policy.resend_unknown_after
    is_over = _is_over(attempt, answered.at)
    if answered.answer.conclusive and not is_over and resend_after is not None and age >= resend_after:
        logger.warning("attempt %s never arrived: %s messages are sent again", attempt.reference, len(absent))
        settlement.control(absent, MessageStatus.QUEUED, Reason.NONE)
        _stop_poison(attempt, absent)
    elif is_over:
        settlement.apply(
            [Fact(message_pk, MessageStatus.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_PROOF) for message_pk in absent]
        )


def _stop_poison(attempt: Attempt, message_pks: list[int]) -> None:
    """Fail rows whose worker died before every call: they would be tried for ever."""
    batch = Batch.objects.get(pk=attempt.batch_id)
    if batch.lease_count >= settings.MAX_LEASES:
        settlement.control(message_pks, MessageStatus.FAILED, Reason.POISON)
        logger.error("batch %s stopped: %s leases in a row ended without a result", batch.pk, batch.lease_count)
