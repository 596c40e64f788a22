"""Whether a file ten times as long costs ten times as much, and no more: the whole path for each size."""

from dataclasses import dataclass

from tests.benchmarks.figures import Figure
from tests.benchmarks.path import Journey
from tests.benchmarks.stand import Stand

PART = "growth"
COMPARED = 100_000  # rows: with fewer, what the installation costs at rest is a part of each message


@dataclass(frozen=True)
class Size:
    """`cpu_us` for each message; `peak_mib`: of the largest process up to then."""

    rows: int
    per_second: float
    cpu_us: float
    peak_mib: float


@dataclass(frozen=True)
class Growth:
    sizes: list[Size]

    def figures(self) -> list[Figure]:
        found = []
        for size in self.sizes:
            name = f"{size.rows:,} rows"
            found += [
                Figure(PART, f"{name}: whole path", size.per_second, "messages/s"),
                Figure(PART, f"{name}: CPU of a message", size.cpu_us, "µs"),
                Figure(PART, f"{name}: largest process", size.peak_mib, "MiB"),
            ]
        first = next((size for size in self.sizes if size.rows >= COMPARED), self.sizes[0])
        last = self.sizes[-1]
        if last is not first:
            name, ratio = f"CPU at {last.rows:,} / at {first.rows:,} rows", last.cpu_us / first.cpu_us
            found.append(Figure(PART, name, ratio, "×", at_most=1.15 if first.rows >= COMPARED else None))
        return found


def measure(stand: Stand) -> Growth:
    return Growth([_size(stand, rows) for rows in stand.options.growth])


def _size(stand: Stand, rows: int) -> Size:
    phase = Journey(stand, rows).as_a_whole().phases["path"]
    return Size(rows, phase.per_second, phase.product_cpu_us, max(stand.memory.peak_mib.values()))
