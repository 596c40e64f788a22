"""Where a provider counts other segments than we do.

Its count is what we pay, ours is what the customer pays, and is known before anything is sent. Differences are recorded
by gateway, and the console's front page points to them until an operator empties the value.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from django.db import transaction

from accounts.system_state import SystemState, object_or_nothing
from messaging.ids import batch_of, public_id
from messaging.models import Batch
from messaging.storage.message_rows import StoredMessage
from smsapp.core import clock

if TYPE_CHECKING:
    from messaging.outcomes.settlement import Fact

logger = logging.getLogger(__name__)

KEY = "segment_drift"
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


def _load(text: str) -> dict[str, Drifts]:
    """Read drifts by gateway. A text that an operator emptied or wrote says nothing."""
    try:
        return {
            name: Drifts(int(one["count"]), [str(words) for words in one["last"]])
            for name, one in object_or_nothing(text).items()
        }
    except (ValueError, KeyError, TypeError):
        return {}


def _dump(drifts: Mapping[str, Drifts]) -> str:
    told = {name: {"count": one.count, "last": one.last} for name, one in sorted(drifts.items())}
    return json.dumps(told, indent=1) if told else ""


#: By the name of the gateway.
DRIFTS: SystemState[dict[str, Drifts]] = SystemState(
    KEY,
    "Reports that name other segments than we counted, by gateway. Empty it when you have looked into it.",
    load=_load,
    dump=_dump,
    is_fixed=False,
)


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


def _add(found: Sequence[Drift]) -> None:
    with transaction.atomic():
        drifts = DRIFTS.lock()
        moment = f"{clock.now():%Y-%m-%d %H:%M:%S}"
        for gateway, own in _by_gateway(found).items():
            before = drifts.get(gateway, Drifts())
            words = [f"{moment} {drift.words}" for drift in own[:KEPT]]
            drifts[gateway] = Drifts(before.count + len(own), [*words, *before.last][:KEPT])
        DRIFTS.put(drifts)


def _by_gateway(found: Sequence[Drift]) -> dict[str, list[Drift]]:
    batches = Batch.objects.filter(pk__in={batch_of(drift.message_pk) for drift in found})
    gateway_of = dict(batches.values_list("pk", "gateway"))
    drifts: dict[str, list[Drift]] = {}
    for drift in found:
        drifts.setdefault(gateway_of.get(batch_of(drift.message_pk), ""), []).append(drift)
    return drifts
