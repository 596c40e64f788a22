"""What must never happen: states that contradict each other, or the provider. The count must stay 0.

Two lists, each a row of `settings`, which the console's front page points to:

state_contradictions       what the last consistency check found; each check replaces it
provider_contradictions    messages that we closed as never submitted and the provider has; an operator empties the
                           value when the matter is settled
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction

from accounts.models import Setting
from smsapp.core import clock

logger = logging.getLogger(__name__)

STATES = "state_contradictions"
PROVIDER = "provider_contradictions"
DESCRIPTIONS = {
    STATES: "States that contradict each other, as the last check found them. There should be none.",
    PROVIDER: "Messages closed as never handed over that the provider has. Empty it when you have looked into it.",
}
KEPT = 20  # shown of each list, in words; all are counted


@dataclass(frozen=True, slots=True)
class Contradictions:
    """`last`: the newest first, in words."""

    count: int = 0
    last: list[str] = field(default_factory=list)


def known(key: str) -> Contradictions:
    """Return what is stored under STATES or PROVIDER. A value that an operator emptied or wrote counts as none."""
    return read(Setting.objects.filter(key=key).values_list("value", flat=True).first() or "")


def write_states(found: Sequence[str]) -> None:
    """Replace what the previous check found."""
    words = [f"{clock.now():%Y-%m-%d %H:%M:%S} {what}" for what in found[:KEPT]]
    _make_row(STATES)
    Setting.objects.filter(key=STATES).update(value=_text(Contradictions(len(found), words)), updated_at=clock.now())


def note_provider(what: str) -> None:
    """Record a contradiction once the transaction has committed, unless it was recorded lately.

    Its row is locked without a lock on any message.
    """

    def add() -> None:
        words = f"{clock.now():%Y-%m-%d %H:%M:%S} {what}"
        _make_row(PROVIDER)
        with transaction.atomic():
            row = Setting.objects.select_for_update().get(key=PROVIDER)
            before = read(row.value)
            if any(line.endswith(what) for line in before.last):
                return
            row.value = _text(Contradictions(before.count + 1, [words, *before.last][:KEPT]))
            row.save(update_fields=["value", "updated_at"])

    logger.error("contradiction: %s", what)
    transaction.on_commit(add, robust=True)


def _make_row(key: str) -> None:
    Setting.objects.bulk_create([Setting(key=key, description=DESCRIPTIONS[key])], ignore_conflicts=True)


def _text(found: Contradictions) -> str:
    return json.dumps({"count": found.count, "last": found.last}, indent=1) if found.count else ""


def read(text: str) -> Contradictions:
    """Return what a stored value says."""
    try:
        stored = json.loads(text)
        return Contradictions(int(stored["count"]), [str(words) for words in stored["last"]])
    except (ValueError, KeyError, TypeError):
        return Contradictions()
