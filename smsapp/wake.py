"""Waking work up: the only way a door or a service reaches Celery.

The row is the hand-off and beat wakes every kind of work within seconds, so a broker that is away costs a
little time and is no error.
"""

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def wake(task_name: str, *ids: int) -> None:
    """Queue a task by name once the present transaction has committed; `ids` are its only arguments."""
    transaction.on_commit(partial(_send, task_name, ids), robust=True)


def _send(task_name: str, ids: tuple[int, ...]) -> None:
    try:
        current_app.send_task(task_name, args=ids)
    except OperationalError as error:
        logger.warning("broker unreachable, %s will be woken by beat: %s", task_name, error)
