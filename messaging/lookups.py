"""Asking a provider what it knows of a call: how often, and what follows when it would not tell."""

import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from messaging import gateways, references
from messaging.gateways.base import Lookup, LookUpBy
from messaging.models import Attempt

WOKEN_EVERY = 5.0  # seconds, by beat
WAIT_AFTER_NO_ANSWER = 60.0  # seconds
LOOKED_THROUGH = 500  # rows that are due, so that those of a silent gateway do not hide another gateway's


class Allowance:
    """What one task may ask each provider, for whatever purpose. One that would not tell is not asked again by it."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.silent: set[str] = set()
        self._stop_at: float = time.monotonic() + settings.TASK_BUDGET

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._stop_at

    def allows(self, gateway: str) -> bool:
        return not self.is_over and gateway not in self.silent and self.asked[gateway] < per_task(gateway)

    def look_up(self, attempt: Attempt) -> Lookup:
        self.asked[attempt.gateway] += 1
        answer = look_up(attempt)
        if not answer.conclusive:
            self.silent.add(attempt.gateway)
        return answer


def per_task(gateway: str) -> int:
    """Look-ups of a gateway in one task, by what its provider allows in a minute."""
    return max(1, int(gateways.policy_of(gateway).lookups_per_minute * WOKEN_EVERY / 60))


def look_up(attempt: Attempt) -> Lookup:
    """What the provider knows of a call; inconclusive if its gateway is no longer configured.

    One that knows its own ids only is asked about those that it answered with. That it says nothing of the others is no
    refusal to tell: it has been asked all that it can be.
    """
    try:
        gateway = gateways.get(attempt.gateway)
    except (LookupError, ImproperlyConfigured) as error:
        return Lookup(detail=str(error))
    match gateway.policy.look_up_by:
        case LookUpBy.OUR_ID:
            return gateway.look_up(attempt.reference)
        case LookUpBy.THEIR_ID if ids := references.of_attempt(attempt):
            answer = gateway.look_up_messages(ids)
            return replace(answer, reports=references.with_our_ids(attempt.gateway, answer.reports))
    return Lookup(conclusive=True)


def wait_after_no_answer(gateway: str) -> timedelta:
    """Until a provider that would not tell is asked about the same call again."""
    return timedelta(seconds=min(WAIT_AFTER_NO_ANSWER, 10 * gateways.policy_of(gateway).lookup_grace))
