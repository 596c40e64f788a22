"""How far the audit log was sealed, recorded outside the database.

Whoever writes to the database can remove the newest events, or all; the log then lacks what is recorded here.
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
    """Return what each reachable witness has recorded."""
    return [head for text in OUTSIDE.read() if (head := _head_of(text)) is not None]


def record_mark(head: Head) -> None:
    """Record the head with the witnesses, and in the log, which may be kept elsewhere. Only after the commit."""
    logger.info("the audit log is sealed up to %s:%s", *head)
    OUTSIDE.write(json.dumps(head._asdict()))


def _head_of(text: str) -> Head | None:
    try:
        stored = json.loads(text)
        return Head(int(stored["position"]), str(stored["hash"]))
    except (ValueError, TypeError, KeyError):
        return None
