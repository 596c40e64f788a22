"""A witness outside the database that shows when the database has gone back in time.

While the installation runs, a counter that only grows is stored in the database (the mark) and then with the witness: a
file in VAR_DIR and a key on the Redis server. A witness that is ahead of the mark proves that an older state of the
database was put back. One that is behind, lost, or of another installation proves nothing.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsapp.core.outside_store import Outside

OUTSIDE = Outside("witness")


@dataclass(frozen=True, slots=True)
class Mark:
    """`at`: the database's time, for people to read; never compared."""

    counter: int
    at: datetime

    @property
    def as_dict(self) -> dict[str, Any]:
        return {"counter": self.counter, "at": self.at.isoformat()}


def mark_from(stored: Any) -> Mark | None:
    """Return a mark, or None for anything else."""
    try:
        return Mark(int(stored["counter"]), datetime.fromisoformat(stored["at"]))
    except (KeyError, TypeError, ValueError):
        return None


def seen(installation: str) -> Mark | None:
    """Return the highest mark that a witness has of this installation."""
    marks = [mark for text in OUTSIDE.read() if (mark := _of(installation, text)) is not None]
    return max(marks, key=lambda mark: mark.counter, default=None)


def record_mark(installation: str, mark: Mark) -> None:
    """Record a mark with the witnesses. Only after the database has committed it."""
    OUTSIDE.write(json.dumps({"installation": installation} | mark.as_dict))


def _of(installation: str, text: str) -> Mark | None:
    try:
        stored = json.loads(text)
    except ValueError:
        return None
    if not isinstance(stored, dict) or stored.get("installation") != installation:
        return None
    return mark_from(stored)
