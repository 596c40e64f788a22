"""A witness outside the database that shows when the database has gone back in time.

While the installation runs, a counter that only grows is kept in the database (the mark) and then told to the
witness: a file in VAR_DIR and a key on the Redis server. A witness that is ahead of the mark proves that an older
state of the database was put back. One that is behind, lost, or of another installation proves nothing.
"""

import json
import logging
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

SILENCE = 5.0  # seconds without asking a Redis server that did not answer

_silent_until = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """`at` is the database's time; it is there to be read by people, never compared."""

    counter: int
    at: datetime

    @property
    def as_dict(self) -> dict[str, Any]:
        return {"counter": self.counter, "at": self.at.isoformat()}


def mark_from(stored: Any) -> Mark | None:
    """None for what is no mark."""
    try:
        return Mark(int(stored["counter"]), datetime.fromisoformat(stored["at"]))
    except (KeyError, TypeError, ValueError):
        return None


def seen(installation: str) -> Mark | None:
    """The highest mark that a witness has seen of this installation."""
    marks = [mark for text in (_from_file(), _from_redis()) if (mark := _of(installation, text)) is not None]
    return max(marks, key=lambda mark: mark.counter, default=None)


def tell(installation: str, mark: Mark) -> None:
    """Only after the database has committed the mark."""
    text = json.dumps({"installation": installation} | mark.as_dict)
    try:
        fresh = _path().with_name(f"witness.{os.getpid()}.new")
        fresh.write_text(text)
        fresh.replace(_path())
    except OSError as error:
        logger.warning("the witness file cannot be written: %s", error)
    _with_redis(lambda client: client.set(_key(), text))


def _path() -> Path:
    return Path(settings.VAR_DIR) / "witness.json"


def _key() -> str:
    return f"{settings.REDIS_KEY_PREFIX}:witness"


def _from_file() -> str:
    try:
        return _path().read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _from_redis() -> str:
    found = _with_redis(lambda client: client.get(_key()))
    return found.decode(errors="replace") if isinstance(found, bytes) else ""


def _with_redis(act: Any) -> Any:
    """What `act` gives; None if there is no server at this moment."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return None
    try:
        return act(get_redis_connection("default"))
    except (RedisError, OSError):
        _silent_until = time.monotonic() + SILENCE
        return None


def _of(installation: str, text: str) -> Mark | None:
    try:
        stored = json.loads(text)
    except ValueError:
        return None
    if not isinstance(stored, dict) or stored.get("installation") != installation:
        return None
    return mark_from(stored)
