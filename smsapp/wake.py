"""Waking work up: the only way a door or a service reaches Celery.

The row is the hand-off and beat wakes every kind of work within seconds, so a broker that is away costs a
little time and is no error.
"""

import logging
import time

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

EXPIRES = 60  # seconds: beat wakes everything many times within, so an older wake-up is only in the way
SILENCE = 5.0  # seconds without trying, after the broker could not be reached

_silent_until = 0.0


def wake(task_name: str, *ids: int) -> None:
    """Queue a task by name once the present transaction has committed; `ids` are its only arguments."""

    def send() -> None:  # Django names a failing callback by its __qualname__, which a partial has not
        _send(task_name, ids)

    transaction.on_commit(send, robust=True)


def _send(task_name: str, ids: tuple[int, ...]) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        current_app.send_task(task_name, args=ids, expires=EXPIRES)
    except OperationalError as error:
        _silent_until = time.monotonic() + SILENCE
        logger.warning("broker unreachable, %s will be woken by beat: %s", task_name, error)
