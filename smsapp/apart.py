"""One bad row must not stop the work for all others: do each item by itself, log what breaks, go on."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, close_old_connections

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIES = 3  # for a deadlock, a lock that took too long, a connection that was cut
PAUSE = 0.2  # seconds between them


def apart(act: Callable[[Item], Result], item: Item) -> Result | None:
    """`act(item)`, which must be safe to repeat; None if it fails. Not inside a transaction."""
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            return act(item)
        except OperationalError:
            if not tries_left:
                logger.exception("%s failed", act)
            close_old_connections()
            time.sleep(PAUSE)
        except Exception:
            logger.exception("%s failed", act)
            break
    return None
