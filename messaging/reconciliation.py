"""Unknown outcomes are looked up at the provider, by the attempt's reference, until they are facts.

An attempt is `unknown` when its answer was lost, or when the worker that made the call is gone. After a grace
period the provider is asked. What it knows is applied like any delivery report. What it does not know is sent
again only where the gateway's policy names a time after which absence is proof, and only after that time;
otherwise it is closed as `unconfirmed` when the provider's log ends, and said so.
"""

import logging
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from messaging import bulk, clock, gateways, settlement
from messaging.choices import AttemptState, FactSource, MessageStatus, Reason
from messaging.gateways.base import Lookup, Policy
from messaging.models import Attempt, Batch
from messaging.settlement import Fact

logger = logging.getLogger(__name__)

#: Waits between look-ups, in units of the gateway's grace: 5, 15, 60 minutes, 6 and 23 hours at 5 minutes.
LOOKUP_STEPS = (1, 3, 12, 72, 276)
MAX_LOOKUPS_PER_TASK = 100  # Infobip allows 120 a minute


def reconcile() -> int:
    """Look up attempts whose time has come; how many were resolved."""
    stop_at = time.monotonic() + settings.TASK_BUDGET
    resolved = 0
    for attempt in Attempt.objects.to_look_up(clock.now()).select_related("batch")[:MAX_LOOKUPS_PER_TASK]:
        if time.monotonic() >= stop_at:
            break
        if _claim(attempt):
            resolved += look_up(attempt)
    return resolved


def look_up(attempt: Attempt) -> bool:
    """Ask the provider once and apply what it says; True if nothing of the attempt is unknown any more."""
    gateway = gateways.get(attempt.gateway)
    asked_at = clock.now()
    answer = gateway.look_up(attempt.reference)
    facts, _ = settlement.facts_from(answer.reports, FactSource.LOOKUP)
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=attempt.batch_id)
        settlement.apply([fact for fact in facts if attempt.first <= fact.number <= attempt.last])
        absent = bulk.read_numbers(attempt.first, attempt.last, MessageStatus.UNKNOWN)
        if absent:
            _settle_absent(attempt, absent, answer, gateway.policy, asked_at)
        resolved = not bulk.read_numbers(attempt.first, attempt.last, MessageStatus.UNKNOWN)
        if resolved:
            Attempt.objects.filter(pk=attempt.pk).update(state=AttemptState.RESOLVED, next_lookup_at=None)
    return resolved


def _claim(attempt: Attempt) -> bool:
    """One look-up at a time: the next one is set before this one begins."""
    grace = gateways.get(attempt.gateway).policy.lookup_grace
    step = LOOKUP_STEPS[min(attempt.lookup_count + 1, len(LOOKUP_STEPS) - 1)]
    return bool(
        Attempt.objects.filter(
            pk=attempt.pk, state=AttemptState.UNKNOWN, lookup_count=attempt.lookup_count
        ).update(
            lookup_count=attempt.lookup_count + 1,
            next_lookup_at=clock.now() + timedelta(seconds=max(grace * step, settings.GATEWAY_TIMEOUT)),
        )
    )  # fmt: skip


def _settle_absent(attempt: Attempt, absent: list[int], answer: Lookup, policy: Policy, asked_at: datetime) -> None:
    assert attempt.finished_at is not None
    age = (asked_at - attempt.finished_at).total_seconds()
    resend_after = policy.resend_unknown_after
    if answer.conclusive and resend_after is not None and age >= resend_after:
        logger.warning("attempt %s never arrived: %s messages are sent again", attempt.reference, len(absent))
        settlement.control(absent, MessageStatus.QUEUED, Reason.NONE)
    elif age >= policy.close_unknown_after:
        settlement.apply(
            [Fact(number, MessageStatus.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_PROOF) for number in absent]
        )
