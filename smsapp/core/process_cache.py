"""What each process remembers for some seconds of the database or the network.

`clear` forgets all of it at once, so that a test begins as a new process does.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from cachetools import TTLCache, cached
from cachetools.keys import hashkey
from django.db import Error

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
Function = TypeVar("Function", bound=Callable[..., Any])

_clearing: list[Callable[[], None]] = []


def clear() -> None:
    """Forget everything that this process remembers."""
    for forget in _clearing:
        forget()


def remember(maxsize: int, seconds: float, key: Callable[..., Any] = hashkey) -> Callable[[Function], Function]:
    """Keep the results of a function for so many seconds, the `maxsize` used last. Failures are not kept.

    The function gets a `cache_clear`. `key`: from its arguments to what the result depends on, where that is less than
    all of them.
    """
    cache: TTLCache[Any, Any] = TTLCache(maxsize, seconds)
    lock = threading.Lock()

    def decorate(function: Function) -> Function:
        remembered: Any = cached(cache, key=key, lock=lock)(function)
        _clearing.append(remembered.cache_clear)
        return cast(Function, remembered)

    return decorate


class Reread(Generic[Value]):
    """A value read again when it is older than `seconds()`; while the database is down, as it was read last.

    A hit costs one look at the clock. `what` names it in the log.
    """

    def __init__(self, what: str, read: Callable[[], Value], first: Value, seconds: Callable[[], float]) -> None:
        self._what, self._read, self._first, self._seconds = what, read, first, seconds
        self.clear()
        _clearing.append(self.clear)

    def clear(self) -> None:
        """Return to the state before the first reading."""
        self._value, self.was_read = self._first, False
        self.expire()

    def expire(self) -> None:
        """Read again, the next time it is asked for."""
        self._read_at = float("-inf")  # monotonic

    def get(self) -> Value:
        now = time.monotonic()
        if now - self._read_at >= self._seconds():
            try:
                self._value = self._read()
            except Error as error:
                logger.warning("%s could not be read, those known are used: %s", self._what, type(error).__name__)
            else:
                self._read_at, self.was_read = now, True
        return self._value
