"""The harness uses the servers that it has killed, cut off or filled up: it asks again until they are back."""

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
import redis
from django.db import Error, connection

from smsapp.runtime.supervisor import Supervisor

Value = TypeVar("Value")

AWAY = (Error, psycopg.Error, redis.RedisError)
LOOK = 0.01  # seconds between two looks at something that changes quickly
PAUSE = 0.1  # seconds between two tries
PATIENCE = 60.0  # seconds: a server that is not back by then does not come back


def patiently(supervisor: Supervisor, act: Callable[[], Value]) -> Value:
    """`act()`, tried again while the database or the broker is away; programs that have ended are brought back
    meanwhile. Raises what it raised last when PATIENCE is over.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except AWAY:
            connection.close()
            if time.monotonic() > deadline:
                raise
        supervisor.watch()
        time.sleep(PAUSE)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came about in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True
