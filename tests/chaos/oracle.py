"""Our database beside the simulator's ledger: what was lost, doubled or mis-stated. Pure.

lost       a recipient without a message, an id that was given to a client and does not exist, a message that is not
           final or was given up without a cause, an accepted id that we do not know; a message of which the customer's
           server was not told, with a good signature, what it has become; a webhook that still waits
doubled    an id or a number that was accepted more than once, a number with two messages
misstated  a message whose status, reason or segments the ledger contradicts; a change of status written down twice, or
           not; a counter or a statistic that is not the count of its rows; a call that still counts as open; a call
           begun during a pause; credit that was charged for anything but the segments a provider took; a ledger that
           does not add up; a call that was repeated with its key and answered otherwise; an audit log that was changed
stalled    a single send that waited for seconds beside a gateway that hangs
`unconfirmed` is counted. It claims only its reason, and that no report was taken.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from messaging.choices import ACCEPTED, NEVER_HANDED_OVER, OPEN, MessageStatus, Reason

M = MessageStatus
WITHOUT_CAUSE = NEVER_HANDED_OVER - {M.REJECTED}  # nothing in the harness gives cause for these, save for poison
PROVEN = (Reason.NO_REPORT, Reason.NO_RECEIPT)  # of these the provider is known to have had it
REPORTED = (M.DELIVERED, M.UNDELIVERED, M.REJECTED)  # what a provider says at most once of a message


class Row(NamedTuple):
    """A message of ours. `phone` in digits without plus. `is_refused`: by the provider, after it had taken it."""

    number: int
    message_id: str
    batch: int
    phone: str
    status: MessageStatus
    reason: str
    segments: int = 1
    campaign: str = ""
    is_refused: bool = False

    @property
    def is_charged(self) -> bool:
        return self.status in ACCEPTED and not (self.is_refused and self.status is M.UNDELIVERED)


class Entry(NamedTuple):
    """A message in the ledger. `kind`: delivered, undelivered, silent, or rejected (never accepted). `is_reported`: we
    have taken its final report; `is_contradicted`: and a contrary one, so that `delivered` is right."""

    message_id: str
    phone: str
    kind: str
    times_accepted: int
    segments: int = 1
    is_reported: bool = False
    is_contradicted: bool = False


class Finding(NamedTuple):
    """`number` of the message, 0 where it is about something else."""

    text: str
    number: int = 0


@dataclass(slots=True)
class Verdict:
    lost: list[Finding] = field(default_factory=list)
    doubled: list[Finding] = field(default_factory=list)
    misstated: list[Finding] = field(default_factory=list)
    stalled: list[Finding] = field(default_factory=list)
    unconfirmed: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.misstated or self.stalled)


def examine(rows: Sequence[Row], recipients: Iterable[str], poisoned: Collection[int] = ()) -> Verdict:
    """What messages say by themselves. `recipients`: numbers that were to be reached, each once; `poisoned`: batches
    whose messages may be given up as such."""
    verdict = Verdict(unconfirmed=sum(row.status is M.UNCONFIRMED for row in rows))
    known: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        known[row.phone].append(row)
        is_poison = row.batch in poisoned and row.reason == Reason.POISON
        if row.status in OPEN:
            verdict.lost.append(Finding(f"{_says(row)} and not final", row.number))
        if row.status in WITHOUT_CAUSE and not is_poison:
            verdict.lost.append(Finding(f"{_says(row)} without a cause", row.number))
    verdict.lost += [Finding(f"{phone} has no message") for phone in recipients if phone not in known]
    for phone, several in known.items():
        if len(several) > 1:
            ids = ", ".join(row.message_id for row in several)
            verdict.doubled.append(Finding(f"{phone} has the messages {ids}", several[0].number))
    return verdict


def compare(rows: Sequence[Row], entries: Iterable[Entry]) -> Verdict:
    """What the ledger says of our messages, and we of its own."""
    verdict = Verdict()
    ledger = {entry.message_id: entry for entry in entries}
    for row in rows:
        verdict.misstated += _contradictions(row, ledger.get(row.message_id))
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


def _contradictions(row: Row, entry: Entry | None) -> list[Finding]:
    is_accepted = entry is not None and entry.times_accepted > 0
    kind = entry.kind if entry else "nothing"
    if (row.status in ACCEPTED) > is_accepted or (row.status in NEVER_HANDED_OVER) > (not is_accepted):
        return [Finding(f"{_says(row)}, the ledger knows {kind}", row.number)]
    found = []
    said = "delivered" if entry and entry.is_contradicted else kind
    is_untrue = row.status in REPORTED and row.status.label != said
    if row.status is M.UNCONFIRMED:
        is_untrue = (entry is not None and entry.is_reported) or (row.reason in PROVEN and not is_accepted)
    if is_untrue:
        found.append(Finding(f"{_says(row)}, the ledger says {_told(entry) if entry else kind}", row.number))
    if entry and is_accepted and row.segments != entry.segments:
        found.append(Finding(f"{row.message_id} has {row.segments} segments, the ledger {entry.segments}", row.number))
    return found


def _says(row: Row) -> str:
    return f"{row.message_id} is {row.status.label}{f' ({row.reason})' if row.reason else ''}"


def _told(entry: Entry) -> str:
    return f"{entry.kind}{', reported' * entry.is_reported}{', contradicted' * entry.is_contradicted}"


def untold(row: Row, told: Sequence[MessageStatus]) -> list[Finding]:
    """Whether the delivery reports of a message, in order, are the changes that it has gone through: each once, the
    last being what it is."""
    finals = [status for status in told if status in REPORTED]
    found = [
        Finding(f"{row.message_id} has {times} delivery reports that it is {status.label}", row.number)
        for status, times in Counter(finals).items()
        if times > 1
    ]
    if row.status in REPORTED and row.status not in finals[-1:]:
        found.append(Finding(f"{_says(row)} and no delivery report says so last", row.number))
    return found


def miscounted(what: str, tally: Mapping[str, int], rows: Iterable[Row]) -> list[Finding]:
    """Counters that are not the number of rows in that status."""
    counted = Counter(row.status.label for row in rows)
    return differing(what, tally, {status: counted[status] for status in tally})


def segments_taken(rows: Iterable[Row]) -> int:
    """As statistics and bills count them: of messages that the provider took and charges, as far as is known."""
    return sum(row.segments for row in rows if row.is_charged)


def differing(what: str, stated: Mapping[str, int], true: Mapping[str, int]) -> list[Finding]:
    return [
        Finding(f"{what} counts {stated.get(name, 0)} {name} and has {count}")
        for name, count in true.items()
        if stated.get(name, 0) != count
    ]
