"""The provider's word: what the simulator accepted, asked for or read from its file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import orjson

from messaging.simulator.outcomes import OUTCOMES
from tests.chaos.oracle import Entry

PAGE = 20_000


@dataclass
class Ledger:
    """`calls`: references of calls of which something was accepted."""

    entries: list[Entry] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)


def ask_for_ledger(url: str) -> Ledger:
    """Of a simulator that runs at this URL."""
    ledger = Ledger()
    for line in _lines(url):
        ledger.entries.append(
            Entry(
                line["id"],
                line["to"],
                line["kind"],
                line["times_accepted"],
                line["segments"],
                line["is_reported"],
                line["is_contradicted"],
            )
        )
        ledger.calls.add(line["reference"])
    return ledger


def _lines(url: str) -> Iterator[dict]:
    offset, count = 0, PAGE
    while count == PAGE:
        query = {"offset": offset, "limit": PAGE}
        answer = httpx2.get(f"{url}/simulator/messages", params=query, timeout=60, trust_env=False)
        lines = answer.raise_for_status().content.splitlines()
        yield from map(orjson.loads, lines)
        count = len(lines)
        offset += count


def read_ledger(path: Path) -> Ledger:
    """In the form of `messaging/simulator/ledger.py`; a last line that is not whole yet does not count."""
    ledger = Ledger()
    found: dict[str, tuple[str, str, int]] = {}
    times: Counter[str] = Counter()
    reported: set[str] = set()
    for raw in path.read_bytes().rpartition(b"\n")[0].splitlines():
        line = orjson.loads(raw)
        reported.update(line.get("reported", ()))
        for message_id, to, outcome, segments in line.get("messages", ()):
            found.setdefault(message_id, (to, outcome, segments))
            times[message_id] += OUTCOMES[outcome].accepted
            ledger.calls.add(line["bulkId"])
    ledger.entries = [
        Entry(message_id, to, OUTCOMES[outcome].kind, times[message_id], segments, message_id in reported)
        for message_id, (to, outcome, segments) in found.items()
    ]
    return ledger
