"""What the programs of a run cost: processor time and memory of each, children included, from /proc.

A child's time passes to its parent when it has ended and was waited for, so the sum over a living tree only grows.
PostgreSQL's server processes lead process groups of their own: the tree goes by parents, not by groups.
"""

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from smsapp.runtime.supervisor import Child

TICK = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024

Seconds = dict[str, float]


def cpu_seconds(children: Mapping[str, Child]) -> Seconds:
    """User and system time so far, by program; copies of one program together."""
    times, offspring = _processes()
    seconds: Counter[str] = Counter()
    for name, child in children.items():
        seconds[program_of(name)] += sum(times.get(pid, 0) for pid in _tree(child.pid, offspring)) / TICK
    return dict(seconds)


def pin(children: Mapping[str, Child], cores: Iterable[int]) -> None:
    """Have these programs run on these cores only, with all their threads and what they start later."""
    _, offspring = _processes()
    for child in children.values():
        for pid in _tree(child.pid, offspring):
            with contextlib.suppress(OSError):  # it has just ended
                for task in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(task), cores)


def program_of(name: str) -> str:
    """`worker-fast-2` is the second copy of `worker-fast`."""
    program, _, number = name.rpartition("-")
    return program if program and number.isdecimal() else name


def difference(before: Seconds, after: Seconds) -> Seconds:
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


class Memory:
    """The highest resident memory that any single process of each program has had, in bytes.

    Of PostgreSQL only what a server process has to itself, as it is when looked at: the rest is the cache they share.
    """

    def __init__(self, shared: Iterable[str] = ("postgres",)) -> None:
        self.peaks: dict[str, int] = {}
        self._shared = frozenset(shared)

    def look(self, children: Mapping[str, Child]) -> None:
        _, offspring = _processes()
        for name, child in children.items():
            field = "RssAnon:" if name in self._shared else "VmHWM:"
            highest = max((_memory(pid, field) for pid in _tree(child.pid, offspring)), default=0)
            program = program_of(name)
            self.peaks[program] = max(self.peaks.get(program, 0), highest)

    @property
    def peak_mib(self) -> dict[str, float]:
        return {name: round(size / MIB, 1) for name, size in sorted(self.peaks.items())}


def _processes() -> tuple[dict[int, int], dict[int, list[int]]]:
    """Ticks by process, and the children of each."""
    times: dict[int, int] = {}
    offspring: dict[int, list[int]] = defaultdict(list)
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # pid (name, which may hold anything) state parent … utime stime cutime cstime are fields 14 to 17
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            pid = int(entry.name)
            times[pid] = sum(map(int, fields[11:15]))
            offspring[int(fields[1])].append(pid)
    return times, offspring


def _tree(root: int, offspring: Mapping[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:  # grows meanwhile
        found += offspring.get(pid, ())
    return found


def _memory(pid: int, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0
