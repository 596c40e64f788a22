"""What the simulator accepted: the truth that every test of the pipeline is measured against.

An append-only file, one JSON line for each accepted call, on disk before the call is answered:

    {"at": 1766400000.0, "bulkId": "…", "sender": "…", "url": "…", "messages": [[messageId, to, outcome, segments], …]}

and, without waiting for the disk, one for each body of reports that was taken: {"reported": [messageId, …]}.
A simulator that starts with the file of an earlier one knows all of it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from messaging.simulator.calls import CONTRADICTED, REPORTED, Call, Protocol, Terms
from messaging.simulator.durable import DurableFile
from messaging.simulator.outcomes import OUTCOMES, Kind, Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a call, to be looked at."""

    call: Call
    index: int

    @property
    def message_id(self) -> str:
        return self.call.ids[self.index]

    @property
    def to(self) -> str:
        return self.call.numbers[self.index]

    @property
    def outcome(self) -> Outcome:
        return self.call.outcomes[self.index]

    @property
    def segments(self) -> int:
        return self.call.segments[self.index]

    @property
    def text(self) -> str:
        return self.call.texts[self.index] if self.call.texts else ""

    @property
    def is_reported(self) -> bool:
        return bool(self.call.flags[self.index] & REPORTED)

    @property
    def is_contradicted(self) -> bool:
        return bool(self.call.flags[self.index] & CONTRADICTED)


class Ledger:
    """Iterating gives each message once, in order of acceptance."""

    def __init__(self, path: Path | None = None) -> None:
        self.posts: Counter[str] = Counter()  # calls received by bulkId, whatever became of them
        self.repeats: Counter[str] = Counter()  # ids refused with status 23
        self.extra: Counter[str] = Counter()  # ids accepted more than once, and how many times more
        self._calls: list[Call] = []
        self._by_reference: dict[str, list[Call]] = {}
        self._by_id: dict[str, Call] = {}  # the first that brought it
        self._kinds: Counter[Kind] = Counter()
        self._segments = self._reported = 0
        self._file = DurableFile(path) if path else None
        if path and path.exists():
            self._load(path)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._by_id

    def is_new(self, message_ids: Sequence[str]) -> bool:
        """None of them is known, and none is there twice."""
        distinct = set(message_ids)
        return len(distinct) == len(message_ids) and self._by_id.keys().isdisjoint(distinct)

    def __iter__(self) -> Iterator[Entry]:
        return (Entry(call, index) for call in self._calls for index in call.firsts())

    @property
    def entries(self) -> dict[str, Entry]:
        return {entry.message_id: entry for entry in self}

    def entries_of(self, message_ids: Iterable[str]) -> Iterator[Entry]:
        """Those of them that are known."""
        for message_id in message_ids:
            call = self._by_id.get(message_id)
            if call:
                yield Entry(call, call.ids.index(message_id))

    def entries_under(self, references: Iterable[str]) -> Iterator[Entry]:
        """All messages of these calls."""
        calls = (call for reference in references for call in self._by_reference.get(reference, ()))
        return (Entry(call, index) for call in calls for index in range(len(call.ids)))

    async def accept(self, calls: Sequence[Call]) -> None:
        """Register, then return when it is on disk; what could not be written was not accepted (raises OSError)."""
        for call in calls:
            self._register(call)
        if not self._file or not calls:
            return
        try:
            await self._file.append(b"".join(map(_line, calls)))
        except OSError:
            for call in calls:
                self._forget(call)
            raise

    def reported(self, reports: Iterable[tuple[Call, Sequence[int]]]) -> None:
        """A body of reports was taken: of these places of calls."""
        ids = []
        for call, indexes in reports:
            for index in indexes:
                if not call.flags[index] & REPORTED:
                    call.flags[index] |= REPORTED
                    self._reported += index not in call.again
                ids.append(call.ids[index])
        if self._file and ids:
            self._file.append_soon(orjson.dumps({"reported": ids}) + b"\n")

    def unreported(self) -> Iterator[tuple[Call, list[int]]]:
        """Places of each call whose reports are still due, after a start with an earlier file."""
        for call in self._calls:
            yield call, [index for index in call.accepted() if not call.flags[index] & REPORTED]

    def summary(self) -> dict[str, int]:
        """Figures over distinct message ids: accepted = delivered + undelivered + silent. `duplicates`: ids that
        were accepted more than once; `repeats`: ids refused because they came again; `posts`: calls received;
        `repeated_posts`: bulkIds that came more than once."""
        return {
            "accepted": sum(count for kind, count in self._kinds.items() if kind is not Kind.REJECTED),
            **{str(kind): self._kinds[kind] for kind in Kind},
            "reported": self._reported,
            "duplicates": len(self.extra),
            "repeats": len(self.repeats),
            "posts": self.posts.total(),
            "repeated_posts": sum(count > 1 for count in self.posts.values()),
            "segments": self._segments,
        }

    def _register(self, call: Call) -> None:
        self._calls.append(call)
        self._by_reference.setdefault(call.reference, []).append(call)
        if self.is_new(call.ids):
            self._by_id.update(dict.fromkeys(call.ids, call))
        else:
            self._register_repeated(call)
        self._count(call, 1)

    def _register_repeated(self, call: Call) -> None:
        for index, message_id in enumerate(call.ids):
            if message_id in self._by_id:
                self.extra[message_id] += 1
                call.again.add(index)
            else:
                self._by_id[message_id] = call

    def _forget(self, call: Call) -> None:
        self._count(call, -1)
        self._calls.remove(call)
        self._by_reference[call.reference].remove(call)
        for index in call.firsts():
            del self._by_id[call.ids[index]]

    def _count(self, call: Call, sign: int) -> None:
        """Add its messages to the figures, or take them out again."""
        for outcome, count in Counter(call.outcomes[index] for index in call.firsts()).items():
            self._kinds[outcome.kind] += sign * count
        self._segments += sign * sum(call.segments[index] for index in call.firsts() if call.outcomes[index].accepted)

    def _load(self, path: Path) -> None:
        reported: set[str] = set()
        with path.open("rb") as file:
            for raw in file:
                line = orjson.loads(raw)
                reported.update(line.get("reported", ()))
                if "messages" in line:
                    self.posts[line["bulkId"]] += 1
                    self._register(_call_of(line))
        for call in self._calls:
            for index in call.firsts():
                if call.ids[index] in reported:
                    call.flags[index] |= REPORTED
                    self._reported += 1


def _line(call: Call) -> bytes:
    names = [outcome.name for outcome in call.outcomes]
    messages = list(zip(call.ids, call.numbers, names, call.segments, strict=True))
    line = {"at": call.at, "bulkId": call.reference, "sender": call.terms.sender, "url": call.terms.report_url}
    line |= {"protocol": call.terms.protocol} if call.terms.protocol is not Protocol.INFOBIP else {}
    return orjson.dumps(line | {"delay": call.delay, "messages": messages}) + b"\n"


def _call_of(line: dict[str, Any]) -> Call:
    ids, numbers, names, segments = zip(*line["messages"], strict=True)
    outcomes = [OUTCOMES[name] for name in names]
    terms = Terms(line["sender"], line["url"], protocol=Protocol(line.get("protocol", Protocol.INFOBIP)))
    return Call(line["bulkId"], terms, line["at"], line["delay"], ids, numbers, outcomes, segments)
