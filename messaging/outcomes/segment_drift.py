"""Where a provider counts other segments than we do.

Its count is what we pay, ours is what the customer pays, and is known before anything is sent. Differences are recorded
by gateway in a row of `settings`, which the console's front page points to until an operator empties it.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from django.db import transaction

from accounts.models import Setting
from messaging.ids import batch_of, public_id
from messaging.models import Batch
from messaging.storage.message_rows import StoredMessage
from smsapp.core import clock

if TYPE_CHECKING:
    from messaging.outcomes.settlement import Fact

logger = logging.getLogger(__name__)

KEY = "segment_drift"
DESCRIPTION = "Reports that name other segments than we counted, by gateway. Empty it when you have looked into it."
KEPT = 5  # examples shown of each gateway; all are counted


class Drift(NamedTuple):
    """`theirs`, `ours`: segments of one message."""

    message_pk: int
    theirs: int
    ours: int

    @property
    def words(self) -> str:
        return f"message {public_id(self.message_pk)}: the provider counts {self.theirs}, we count {self.ours}"


@dataclass(frozen=True, slots=True)
class Drifts:
    """The drifts of one gateway. `last`: the newest first, in words."""

    count: int = 0
    last: list[str] = field(default_factory=list)


def note(facts: Iterable["Fact"], known: Mapping[int, StoredMessage], changed: Collection[int]) -> None:
    """Record the drifts among facts that changed a message, once the transaction has committed."""
    found = [
        Drift(fact.message_pk, theirs, ours)
        for fact in facts
        if fact.report
        and (theirs := fact.report.segment_count)
        and fact.message_pk in changed
        and (ours := known[fact.message_pk].segment_count)
        and theirs != ours
    ]
    if found:
        logger.warning("%s reports name other segments than we counted: %s", len(found), found[0].words)
        transaction.on_commit(lambda: _add(found), robust=True)


def known_drifts() -> dict[str, Drifts]:
    """Return the recorded drifts by gateway."""
    return read(Setting.objects.filter(key=KEY).values_list("value", flat=True).first() or "")


def read(text: str) -> dict[str, Drifts]:
    """Return what a stored value says; one that an operator emptied or wrote says nothing."""
    try:
        stored = json.loads(text)
        return {name: Drifts(int(one["count"]), [str(words) for words in one["last"]]) for name, one in stored.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _add(found: Sequence[Drift]) -> None:
    Setting.objects.bulk_create([Setting(key=KEY, description=DESCRIPTION)], ignore_conflicts=True)
    with transaction.atomic():
        row = Setting.objects.select_for_update().get(key=KEY)
        drifts = read(row.value)
        moment = f"{clock.now():%Y-%m-%d %H:%M:%S}"
        for gateway, own in _by_gateway(found).items():
            before = drifts.get(gateway, Drifts())
            words = [f"{moment} {drift.words}" for drift in own[:KEPT]]
            drifts[gateway] = Drifts(before.count + len(own), [*words, *before.last][:KEPT])
        told = {name: {"count": one.count, "last": one.last} for name, one in sorted(drifts.items())}
        row.value = json.dumps(told, indent=1)
        row.save(update_fields=["value", "updated_at"])


def _by_gateway(found: Sequence[Drift]) -> dict[str, list[Drift]]:
    batches = Batch.objects.filter(pk__in={batch_of(drift.message_pk) for drift in found})
    gateway_of = dict(batches.values_list("pk", "gateway"))
    drifts: dict[str, list[Drift]] = {}
    for drift in found:
        drifts.setdefault(gateway_of.get(batch_of(drift.message_pk), ""), []).append(drift)
    return drifts
