"""What the simulator accepted: the truth that every test of the pipeline is measured against.

An append-only file, one JSON line for each accepted call, on disk before the call is answered:

    {"at": 1766400000.0, "bulkId": "…", "sender": "…", "url": "…", "messages": [[messageId, to, outcome, segments], …]}

and, without waiting for the disk, one for each body of reports that was taken: {"reported": [messageId, …]}.
A simulator that starts with the file of an earlier one knows all of it.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import orjson

from messaging.simulator.outcomes import OUTCOMES, Kind, Outcome


@dataclass(slots=True)
class Call:
    """One accepted call, or the part of it that shares sender and report URL. `at` in seconds since the epoch."""

    reference: str
    sender: str
    report_url: str
    at: float
    delay: float
    callback_data: str = ""
    intermediate: bool = False
    entries: list["Entry"] = field(default_factory=list)

    @property
    def done_at(self) -> float:
        return self.at + self.delay


@dataclass(slots=True)
class Entry:
    """One message, accepted or refused by number. `to` in digits without plus."""

    message_id: str
    to: str
    outcome: Outcome
    segments: int
    call: Call
    text: str = ""
    is_reported: bool = False
    is_contradicted: bool = False  # a contrary final report was taken, too

    @property
    def is_final(self) -> bool:
        return time.time() >= self.call.done_at


class Ledger:
    def __init__(self, path: Path | None = None) -> None:
        self.entries: dict[str, Entry] = {}
        self.calls: dict[str, list[Call]] = {}
        self.posts: Counter[str] = Counter()  # calls received by bulkId, whatever became of them
        self.repeats: Counter[str] = Counter()  # ids refused with status 23
        self.extra: Counter[str] = Counter()  # ids accepted more than once, and how many times more
        self._file = _DurableFile(path) if path else None
        if path and path.exists():
            self._load(path)

    def close(self) -> None:
        if self._file:
            self._file.close()

    async def accept(self, calls: list[Call]) -> None:
        """Register, then return when it is on disk; what could not be written was not accepted (raises OSError)."""
        for call in calls:
            self._register(call)
        if not self._file:
            return
        try:
            await self._file.append(b"".join(_line(call) for call in calls))
        except OSError:
            for call in calls:
                self._forget(call)
            raise

    def reported(self, entries: Iterable[Entry]) -> None:
        ids = []
        for entry in entries:
            entry.is_reported = True
            ids.append(entry.message_id)
        if self._file and ids:
            self._file.append_soon(orjson.dumps({"reported": ids}) + b"\n")

    def unreported_calls(self) -> list[Call]:
        """Parts of calls whose reports are still due, after a start with an earlier file."""
        parts = []
        for call in (call for calls in self.calls.values() for call in calls):
            waiting = [entry for entry in call.entries if entry.outcome.accepted and not entry.is_reported]
            if waiting:
                parts.append(Call(call.reference, call.sender, call.report_url, call.at, call.delay, entries=waiting))
        return parts

    def summary(self) -> dict[str, int]:
        """Figures over distinct message ids: accepted = delivered + undelivered + silent. `duplicates`: ids that
        were accepted more than once; `repeats`: ids refused because they came again; `posts`: calls received;
        `repeated_posts`: bulkIds that came more than once."""
        kinds = Counter(entry.outcome.kind for entry in self.entries.values())
        return {
            "accepted": sum(count for kind, count in kinds.items() if kind is not Kind.REJECTED),
            **{str(kind): kinds[kind] for kind in Kind},
            "reported": sum(entry.is_reported for entry in self.entries.values()),
            "duplicates": len(self.extra),
            "repeats": len(self.repeats),
            "posts": self.posts.total(),
            "repeated_posts": sum(count > 1 for count in self.posts.values()),
            "segments": sum(entry.segments for entry in self.entries.values() if entry.outcome.accepted),
        }

    def _register(self, call: Call) -> None:
        self.calls.setdefault(call.reference, []).append(call)
        for entry in call.entries:
            if self.entries.setdefault(entry.message_id, entry) is not entry:
                self.extra[entry.message_id] += 1

    def _forget(self, call: Call) -> None:
        self.calls[call.reference].remove(call)
        for entry in call.entries:
            if self.entries.get(entry.message_id) is entry:
                del self.entries[entry.message_id]

    def _load(self, path: Path) -> None:
        with path.open("rb") as file:
            for raw in file:
                line = orjson.loads(raw)
                for message_id in line.get("reported", ()):
                    self.entries[message_id].is_reported = True
                if "messages" in line:
                    self.posts[line["bulkId"]] += 1
                    self._register(_call_of(line))


def _line(call: Call) -> bytes:
    messages = [[entry.message_id, entry.to, entry.outcome.name, entry.segments] for entry in call.entries]
    line = {"at": call.at, "bulkId": call.reference, "sender": call.sender, "url": call.report_url}
    return orjson.dumps(line | {"delay": call.delay, "messages": messages}) + b"\n"


def _call_of(line: dict[str, object]) -> Call:
    call = Call(str(line["bulkId"]), str(line["sender"]), str(line["url"]), float(line["at"]), float(line["delay"]))  # type: ignore[arg-type]
    call.entries = [
        Entry(message_id, to, OUTCOMES[outcome], segments, call)
        for message_id, to, outcome, segments in line["messages"]  # type: ignore[attr-defined]
    ]
    return call


class _DurableFile:
    """Appends of calls that are in flight together share one write and one fsync."""

    def __init__(self, path: Path) -> None:
        _drop_torn_line(path)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._waiting: list[tuple[bytes, asyncio.Future[None] | None]] = []
        self._flush_task: asyncio.Task[None] | None = None

    async def append(self, lines: bytes) -> None:
        future = asyncio.get_running_loop().create_future()
        self._add(lines, future)
        await asyncio.shield(future)

    def append_soon(self, lines: bytes) -> None:
        self._add(lines, None)

    def close(self) -> None:
        if self._waiting:
            self._write(b"".join(lines for lines, _ in self._waiting))
        self._file.close()

    def _add(self, lines: bytes, future: "asyncio.Future[None] | None") -> None:
        self._waiting.append((lines, future))
        if self._flush_task is None or self._flush_task.done():
            self._flush_task = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            error: OSError | None = None
            try:
                await asyncio.to_thread(self._write, b"".join(lines for lines, _ in taken))
            except OSError as failure:
                error = failure
            for _, future in taken:
                if future and not future.done():
                    future.set_exception(error) if error else future.set_result(None)

    def _write(self, data: bytes) -> None:
        """All of it, or nothing: a call that is not accepted may not be found here after a restart either."""
        size = os.fstat(self._file.fileno()).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), size)
            raise


def _drop_torn_line(path: Path) -> None:
    """A line cut by a crash was never answered, so nothing of it was accepted."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
