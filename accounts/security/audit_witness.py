"""How far the audit log was sealed, noted outside the database.

Who writes to the database can take the newest events away, or all; what was noted here then is in the log no more.
"""

import json
import logging
from typing import NamedTuple

from smsapp.core.outside_store import Outside

logger = logging.getLogger(__name__)

OUTSIDE = Outside("audit-head")


class Head(NamedTuple):
    """Position and hash of a sealed event."""

    position: int
    hash: str


def seen() -> list[Head]:
    """What was noted, by each witness that can be asked."""
    return [head for text in OUTSIDE.read() if (head := _head_of(text)) is not None]


def record_mark(head: Head) -> None:
    """Only after the database has committed the seal. In the log, too, which may be kept elsewhere."""
    logger.info("the audit log is sealed up to %s:%s", *head)
    OUTSIDE.write(json.dumps(head._asdict()))


def _head_of(text: str) -> Head | None:
    try:
        stored = json.loads(text)
        return Head(int(stored["position"]), str(stored["hash"]))
    except (ValueError, TypeError, KeyError):
        return None
