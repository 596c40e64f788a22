"""Enqueues tasks: the only way an entry point or a service reaches Celery.

The row is the hand-off, and beat starts every kind of work within seconds, so a broker that is down costs a little time
and is no error.

A task without ids says no more than "look for work": while one waits to begin, no others are queued beside it. The mark
of a waiting one is a key in Redis, removed as its task begins and before that looks for work, so work committed before
a task was left out is always seen. A mark whose task was lost expires by itself.
"""

import logging
import time
from typing import Any

from celery import current_app
from celery.signals import task_prerun
from django.conf import settings
from django.db import transaction
from django_redis import get_redis_connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from smsapp.core.redis import Pause
from smsapp.queues import CLOCKS_APART

logger = logging.getLogger(__name__)

EXPIRES = 60 + CLOCKS_APART  # seconds: beat enqueues everything many times within, so an older task is only in the way
SILENCE = 5.0  # seconds without trying, after the broker could not be reached
MARK_SECONDS = 2.0  # seconds beside its delay that a task is thought to wait: beat's own interval

_silence = Pause(SILENCE)
_marked_until: dict[str, float] = {}  # by mark, when a task of ours begins at the earliest (monotonic)


def enqueue(task_name: str, *ids: int, after: float = 0.0) -> None:
    """Enqueue a task by name once the transaction has committed, to begin after `after` seconds.

    `ids` are its only arguments.
    """

    def send() -> None:  # Django names a failing callback by its __qualname__, which a partial has not
        _send(task_name, ids, after)

    transaction.on_commit(send, robust=True)


def _send(task_name: str, ids: tuple[int, ...], after: float) -> None:
    if _silence.is_on:
        return
    try:
        if ids or _put_mark(task_name, after):
            current_app.send_task(task_name, args=ids, expires=EXPIRES, countdown=after or None)
    except (OperationalError, RedisError) as error:
        _silence.begin()
        logger.warning("broker unreachable, %s will be woken by beat: %s", task_name, error)


def _put_mark(task_name: str, after: float) -> bool:
    """Set the mark. Return False if there was one. Before our own task can begin, Redis need not be asked."""
    now, mark = time.monotonic(), _mark(task_name)
    if now < _marked_until.get(mark, 0.0):
        return False
    is_new = bool(get_redis_connection("default").set(mark, 1, nx=True, px=int(1000 * (MARK_SECONDS + after))))
    if is_new:
        _marked_until[mark] = now + after
    return is_new


@task_prerun.connect
def clear_mark(task: Any, **kwargs: Any) -> None:
    try:
        get_redis_connection("default").delete(_mark(task.name))
    except RedisError as error:
        logger.info("the sign of %s stays until it ends: %s", task.name, error)


def _mark(task_name: str) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:woken:{task_name}"
