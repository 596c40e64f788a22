"""One bad row must not stop the work for all others: do each item by itself, log what fails, go on."""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeVar

from django.db import close_old_connections

from smsapp.database.errors import is_outage

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3  # for a deadlock, a lock that took too long, a connection that was cut
PAUSE = 0.2  # seconds between them


def run_isolated(act: Callable[[Item], Result], item: Item, until: float = 0.0) -> Result | None:
    """Return `act(item)`, which must be safe to repeat; None if it fails. Not inside a transaction.

    While the database is down it is tried some times, and on until `until` (monotonic seconds) if that is later.
    """
    for number in count(1):
        try:
            return act(item)
        except Exception as error:
            if is_outage(error):
                close_old_connections()
            if not is_outage(error) or (number >= TRIES and time.monotonic() >= until):
                logger.exception("%s failed", act)
                break
            time.sleep(PAUSE)
    return None


def run_batched(
    act: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item], until: float = 0.0
) -> list[Result]:
    """Return `act(items)`, which shares its cost among them and must be safe to repeat.

    If it fails, `act` is called with each of them by itself.
    """
    if len(items) > 1:
        try:
            return list(act(items))
        except Exception as error:
            logger.warning("%s failed for %s together: %s", act, len(items), error)
            if is_outage(error):
                close_old_connections()
    return [result for item in items for result in run_isolated(lambda item: act([item]), item, until) or ()]
