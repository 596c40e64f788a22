"""A worker whose pool has stopped working ends itself, so that it is started again.

A child of the pool that is killed while it holds the lock of the pool's queue leaves its siblings waiting for that lock
for ever: tasks are received, none begins, and nothing says so. Leases make the end of a worker harmless.
"""

import logging
import os
import signal
import threading
import time
from typing import Any

from celery.signals import worker_ready
from celery.worker import state
from django.conf import settings

logger = logging.getLogger(__name__)

LOOK_EVERY = 2.0  # seconds
STUCK_BEYOND_TIME_LIMIT = 30.0  # seconds after the time limit in which no task has ended


class Watchdog:
    """Gets from time to time which tasks are `reserved` (received, begun or not) and how many are `active`."""

    def __init__(self, idle_limit: float, time_limit: float) -> None:
        self._idle_limit = idle_limit
        self._longest = time_limit + STUCK_BEYOND_TIME_LIMIT
        self._reserved: frozenset[str] = frozenset()
        self._since = 0.0

    def is_stuck(self, reserved: frozenset[str], active: int, now: float) -> bool:
        """Return whether nothing has moved for too long; `now` in seconds."""
        if not self._reserved or not self._reserved <= reserved:  # one of the waiting tasks has ended
            self._reserved, self._since = reserved, now
            return False
        return now - self._since > (self._longest if active else self._idle_limit)


@worker_ready.connect
def start(**kwargs: Any) -> None:
    threading.Thread(target=_watch, name="watchdog", daemon=True).start()


def _watch() -> None:
    watchdog = Watchdog(settings.WORKER_STUCK_AFTER, settings.CELERY_TASK_TIME_LIMIT)
    while True:
        time.sleep(LOOK_EVERY)
        reserved = frozenset(request.id for request in list(state.reserved_requests))
        if watchdog.is_stuck(reserved, len(state.active_requests), time.monotonic()):
            logger.critical("the pool has stopped working with %s tasks waiting: this worker ends", len(reserved))
            os.kill(os.getpid(), signal.SIGKILL)
