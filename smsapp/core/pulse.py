"""Signs of life of beat and of the workers of each queue: who gives none for some time does not run.

Beat sends a task to each queue, and the worker that begins it leaves a key in Redis that expires by itself. So a sign
says that beat, broker and worker work together, by no clock but Redis'.
"""

import time
from typing import Any

from celery import shared_task
from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from smsapp.queues import QUEUES

BEAT = "beat"
EXPECTED = (BEAT, *QUEUES)

_began = time.monotonic()  # processes that started with us, or a moment before, had no time yet


@shared_task(name="smsapp.pulse")
def pulse(queue: str) -> None:
    note(queue)


def note(name: str) -> None:
    """Record a sign of life. Called by beat itself, and by the worker of a queue. Raises RedisError."""
    get_redis_connection("default").set(_key(name), 1, px=round(1000 * settings.SILENT_AFTER))


def ages() -> dict[str, float] | None:
    """Return the seconds since the last sign of each, SILENT_AFTER if there is none; None if Redis is down."""
    try:
        pipeline = get_redis_connection("default").pipeline(transaction=False)
        for name in EXPECTED:
            pipeline.pttl(_key(name))
        left: list[Any] = pipeline.execute()
    except RedisError:
        return None
    return {name: settings.SILENT_AFTER - max(0, rest) / 1000 for name, rest in zip(EXPECTED, left, strict=True)}


def silent() -> list[str]:
    """Return what gives no sign of life; nothing while Redis is down, which says more, or just after our own start."""
    if time.monotonic() - _began < settings.SILENT_AFTER:
        return []
    return [name for name, age in (ages() or {}).items() if age >= settings.SILENT_AFTER]


def _key(name: str) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:pulse:{name}"
