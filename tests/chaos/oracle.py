"""Our database beside the simulator's ledger: what was lost, doubled or mis-stated. Pure.

lost       a recipient without a message, a message that is not final or was given up without a cause, an accepted
           id that we do not know
doubled    an id or a number that was accepted more than once
misstated  a message whose status says otherwise than the ledger; a counter that is not the count of its rows; a
           change of status written down twice; a call that still counts as open; a call begun during a pause
`unconfirmed` claims nothing; it is only counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from messaging.choices import ACCEPTED, NEVER_HANDED_OVER, OPEN, MessageStatus

M = MessageStatus
WITHOUT_CAUSE = NEVER_HANDED_OVER - {M.REJECTED}  # nothing in the harness gives cause for these


class Row(NamedTuple):
    """A message of ours. `phone` in digits without plus."""

    number: int
    message_id: str
    batch: int
    phone: str
    status: MessageStatus
    reason: str


class Entry(NamedTuple):
    """A message in the ledger. `kind`: delivered, undelivered, silent, or rejected (never accepted)."""

    message_id: str
    phone: str
    kind: str
    times_accepted: int


class Finding(NamedTuple):
    """`number` of the message, 0 where it is about something else."""

    text: str
    number: int = 0


@dataclass(slots=True)
class Verdict:
    lost: list[Finding] = field(default_factory=list)
    doubled: list[Finding] = field(default_factory=list)
    misstated: list[Finding] = field(default_factory=list)
    unconfirmed: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.misstated)


def compare(rows: Sequence[Row], entries: Iterable[Entry], recipients: Iterable[str]) -> Verdict:
    """Messages against the ledger. `recipients`: the numbers that were to be reached, each once."""
    verdict = Verdict(unconfirmed=sum(row.status is M.UNCONFIRMED for row in rows))
    ledger = {entry.message_id: entry for entry in entries}
    known = Counter(row.phone for row in rows)
    verdict.lost += [Finding(f"{phone} has no message") for phone in recipients if not known[phone]]
    for row in rows:
        _compare_one(verdict, row, ledger.get(row.message_id))
    ours = {row.message_id: row for row in rows}
    accepted: defaultdict[str, list[str]] = defaultdict(list)
    for entry in ledger.values():
        accepted[entry.phone] += [entry.message_id] * entry.times_accepted
        if entry.times_accepted and entry.message_id not in ours:
            verdict.lost.append(Finding(f"{entry.message_id} was accepted and is not in the database"))
    for phone, ids in accepted.items():
        if len(ids) > 1:
            row = ours.get(ids[0])
            verdict.doubled.append(Finding(f"{phone} was accepted as {', '.join(ids)}", row.number if row else 0))
    return verdict


def _compare_one(verdict: Verdict, row: Row, entry: Entry | None) -> None:
    says = f"{row.message_id} is {row.status.label}{f' ({row.reason})' if row.reason else ''}"
    is_accepted = entry is not None and entry.times_accepted > 0
    kind = entry.kind if entry else "nothing"
    if row.status in OPEN:
        verdict.lost.append(Finding(f"{says} and not final", row.number))
    if row.status in WITHOUT_CAUSE:
        verdict.lost.append(Finding(f"{says} without a cause", row.number))
    if (row.status in ACCEPTED) > is_accepted or (row.status in NEVER_HANDED_OVER) > (not is_accepted):
        verdict.misstated.append(Finding(f"{says}, the ledger knows {kind}", row.number))
    elif row.status in (M.DELIVERED, M.UNDELIVERED, M.REJECTED) and row.status.label != kind:
        verdict.misstated.append(Finding(f"{says}, the ledger says {kind}", row.number))


def miscounted(what: str, tally: Mapping[str, int], rows: Iterable[Row]) -> list[Finding]:
    """Counters that are not the number of rows in that status."""
    counted = Counter(row.status.label for row in rows)
    return [
        Finding(f"{what} counts {count} {status} and has {counted[status]}")
        for status, count in tally.items()
        if count != counted[status]
    ]
