"""Asking a provider what it knows of a call: how often, and what follows when it would not tell."""

import time
from datetime import timedelta

from django.conf import settings

from messaging import gateways
from messaging.gateways.base import Lookup
from messaging.models import Attempt

LOOKUPS_PER_TASK = 10  # woken every 5 seconds: Infobip allows 120 a minute
WAIT_AFTER_NO_ANSWER = 60.0  # seconds
LOOKED_THROUGH = 500  # rows that are due, so that those of a silent gateway do not hide another gateway's


class Allowance:
    """What one task may ask, for whatever purpose. A provider that would not tell is not asked again by it."""

    def __init__(self) -> None:
        self.left = LOOKUPS_PER_TASK
        self.silent: set[str] = set()
        self._stop_at = time.monotonic() + settings.TASK_BUDGET

    @property
    def is_spent(self) -> bool:
        return self.left <= 0 or time.monotonic() >= self._stop_at

    def allows(self, gateway: str) -> bool:
        return not self.is_spent and gateway not in self.silent

    def look_up(self, attempt: Attempt) -> Lookup:
        self.left -= 1
        answer = look_up(attempt)
        if not answer.conclusive:
            self.silent.add(attempt.gateway)
        return answer


def look_up(attempt: Attempt) -> Lookup:
    """What the provider knows of a call; inconclusive if its gateway is no longer configured."""
    try:
        return gateways.get(attempt.gateway).look_up(attempt.reference)
    except LookupError as error:
        return Lookup(detail=str(error))


def wait_after_no_answer(gateway: str) -> timedelta:
    """Until a provider that would not tell is asked about the same call again."""
    return timedelta(seconds=min(WAIT_AFTER_NO_ANSWER, 10 * gateways.policy_of(gateway).lookup_grace))
