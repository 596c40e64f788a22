"""What must never happen: states that contradict each other, or the provider. The count must stay 0.

Two lists, which the console's front page points to:

state_contradictions       what the last consistency check found; each check replaces it
provider_contradictions    messages that we closed as never submitted and the provider has; an operator empties the
                           value when the matter is settled
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction

from accounts.system_state import SystemState, object_or_nothing
from smsapp.core import clock

logger = logging.getLogger(__name__)

STATES = "state_contradictions"
PROVIDER = "provider_contradictions"
KEPT = 20  # shown of each list, in words; all are counted


@dataclass(frozen=True, slots=True)
class Contradictions:
    """`last`: the newest first, in words."""

    count: int = 0
    last: list[str] = field(default_factory=list)


def _load(text: str) -> Contradictions:
    """Read a list. A text that an operator emptied or wrote counts as none."""
    stored = object_or_nothing(text)
    try:
        return Contradictions(int(stored["count"]), [str(words) for words in stored["last"]])
    except (ValueError, KeyError, TypeError):
        return Contradictions()


def _dump(found: Contradictions) -> str:
    return json.dumps({"count": found.count, "last": found.last}, indent=1) if found.count else ""


OF_STATES = SystemState(
    STATES,
    "States that contradict each other, as the last check found them. There should be none.",
    load=_load,
    dump=_dump,
    is_fixed=False,
)
OF_PROVIDERS = SystemState(
    PROVIDER,
    "Messages closed as never handed over that the provider has. Empty it when you have looked into it.",
    load=_load,
    dump=_dump,
    is_fixed=False,
)


def write_states(found: Sequence[str]) -> None:
    """Replace what the previous check found."""
    words = [f"{clock.now():%Y-%m-%d %H:%M:%S} {what}" for what in found[:KEPT]]
    OF_STATES.put(Contradictions(len(found), words))


def note_provider(what: str) -> None:
    """Record a contradiction once the transaction has committed, unless it was recorded lately.

    Its row is locked without a lock on any message.
    """

    def add() -> None:
        words = f"{clock.now():%Y-%m-%d %H:%M:%S} {what}"
        with transaction.atomic():
            before = OF_PROVIDERS.lock()
            if any(line.endswith(what) for line in before.last):
                return
            OF_PROVIDERS.put(Contradictions(before.count + 1, [words, *before.last][:KEPT]))

    logger.error("contradiction: %s", what)
    transaction.on_commit(add, robust=True)
