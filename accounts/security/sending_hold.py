"""The sending hold: one switch stops all sending of the installation.

While it is on no gateway call begins, no due campaign starts and nothing is polled. Pushed reports, look-ups, uploads
and new campaigns go on. The switch is one row of `settings`, empty while sending is allowed. Dispatch reads it FOR KEY
SHARE in the transaction that commits an attempt (`messaging/storage/message_rows.py`), and `hold` locks it FOR UPDATE
before it answers.
"""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.security import audit
from accounts.system_state import SystemState
from smsapp.core import clock

logger = logging.getLogger(__name__)

KEY = "hold"


class HoldKind(StrEnum):
    """From the weakest: a hold gives way only to stronger ones."""

    CHECKING = "checking"  # after a stop, while the provider is asked what it has: ends by itself
    CONFIRM = "confirm"  # after a stop, where nobody can be asked: an operator confirms, released at once
    OPERATOR = "operator"  # by hand: released at once
    COPY = "copy"  # a restored backup or a copy: the provider is asked before it is released


_STRENGTH = {kind: index for index, kind in enumerate(HoldKind)}


@dataclass(frozen=True, slots=True)
class Hold:
    """`reason`: for everybody. `detail`: for operators, with names of servers and folders."""

    reason: str
    by: str
    since: datetime
    kind: HoldKind = HoldKind.OPERATOR
    detail: str = ""


def _load(text: str) -> Hold | None:
    """Return the hold of a stored value. One that cannot be read still holds."""
    if not text:
        return None
    try:
        stored: dict[str, Any] = json.loads(text)
        since = datetime.fromisoformat(stored.pop("since"))
        return Hold(**stored | {"since": since, "kind": HoldKind(stored["kind"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        return Hold("Sending is held.", "somebody", clock.about_now())


def _dump(held: Hold | None) -> str:
    return json.dumps(asdict(held) | {"since": held.since.isoformat()}) if held else ""


HOLD = SystemState(
    KEY,
    "Why nothing is sent, if so. Changed with `manage.py hold` and `release`, or in the console.",
    load=_load,
    dump=_dump,
)


def current() -> Hold | None:
    """Return the hold that is on; None while sending is allowed."""
    return HOLD.get()


def is_held() -> bool:
    return HOLD.get() is not None


def hold(
    reason: str,
    by: str,
    *,
    kind: HoldKind = HoldKind.OPERATOR,
    detail: str = "",
    at: datetime | None = None,
    user: User | None = None,
) -> Hold:
    """Stop all sending. When this returns, only calls whose attempt was committed before may still leave.

    A stronger hold that is on stays (see HoldKind). `user`: the operator behind `by`, where that is known for certain.
    The row is written twice. The first time shows it to everybody at once, so that no stream of new attempts, each
    sharing the row with the one before, keeps its lock from us. The second time waits for those under way. It must be
    an UPDATE after FOR UPDATE: only then a reader whose statement began earlier reads the row again.
    """
    wanted = Hold(reason, by, at or clock.about_now(), kind, detail)
    HOLD.make_row()
    HOLD.compare_and_set(HOLD.nothing(), wanted)
    with transaction.atomic(durable=True):
        before = HOLD.lock()
        if before is not None and (before.kind is HoldKind.COPY or _STRENGTH[before.kind] > _STRENGTH[kind]):
            return before
        HOLD.put(wanted)
        audit.record(
            "sending.held",
            account=None,
            by=user,
            target_type="setting",
            target_id=KEY,
            after={"by": wanted.by, "kind": wanted.kind.value, "reason": wanted.reason},
        )
    logger.warning("sending is held by %s: %s %s", wanted.by, wanted.reason, wanted.detail)
    return wanted


def release(kind: HoldKind, into: Hold | None = None) -> bool:
    """Release a hold of this kind, or replace it by another. Return False if no such hold is on."""
    with transaction.atomic():
        before = HOLD.lock()
        if before is None or before.kind is not kind:
            return False
        HOLD.put(into)
    if into is None:
        logger.warning("sending is released")
    return True
