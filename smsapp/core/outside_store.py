"""Texts kept outside the database, in a file in VAR_DIR and on the Redis server.

They show that the database was put back or rewritten.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from smsapp.core.redis import Pause

logger = logging.getLogger(__name__)

SILENCE = 5.0  # seconds without asking a Redis server that did not answer

_silence = Pause(SILENCE)


class Outside:
    """`name`: of the file without its ending, and of the key without its prefix."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def path(self) -> Path:
        return Path(settings.VAR_DIR) / f"{self.name}.json"

    @property
    def key(self) -> str:
        return f"{settings.REDIS_KEY_PREFIX}:{self.name}"

    def read(self) -> list[str]:
        """Return the text in each place that can be asked; empty if there is none."""
        found = _with_redis(lambda client: client.get(self.key))
        return [self._from_file(), found.decode(errors="replace") if isinstance(found, bytes) else ""]

    def write(self, text: str) -> None:
        """Write to both places, if possible; a file that cannot be written is logged."""
        try:
            fresh = self.path.with_name(f"{self.name}.{os.getpid()}.new")
            fresh.write_text(text)
            fresh.replace(self.path)
        except OSError as error:
            logger.warning("%s cannot be written: %s", self.path, error)
        _with_redis(lambda client: client.set(self.key, text))

    def _from_file(self) -> str:
        try:
            return self.path.read_text()
        except (OSError, UnicodeDecodeError):
            return ""


def _with_redis(act: Callable[[Any], Any]) -> Any:
    """Return the result of `act`; None if there is no server at this moment."""
    if _silence.is_on:
        return None
    try:
        return act(get_redis_connection("default"))
    except (RedisError, OSError):
        _silence.begin()
        return None
