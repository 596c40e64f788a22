"""A figure beside its goal, the table of all, and the files they are written to."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smsapp.demo.display import table


@dataclass(frozen=True)
class Figure:
    """`part` and `name` say what was measured. At most one of the goals is given; no goal is for information."""

    part: str
    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f"≥ {_shown(self.at_least)}"
        return f"≤ {_shown(self.at_most)}" if self.at_most is not None else ""

    @property
    def is_reached(self) -> bool | None:
        """None without a goal."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most is not None else None

    @property
    def share_of_goal(self) -> float:
        """1 where it is just reached, less where it is not."""
        if self.at_least:
            return self.value / self.at_least
        return (self.at_most or 0) / self.value if self.value else 1.0

    @property
    def verdict(self) -> str:
        if self.is_reached is None:
            return ""
        return "reached" if self.is_reached else f"reaches {int(100 * self.share_of_goal)} % of the goal"

    @property
    def of_goal(self) -> str:
        return f"{_shown(self.value)} {self.unit} ({self.goal})"

    @property
    def line(self) -> dict[str, Any]:
        return asdict(self) | {"is_reached": self.is_reached}


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]


def shown_table(figures: Iterable[Figure]) -> str:
    rows = [(f.part, f.name, _shown(f.value), f.unit, f.goal, f.verdict) for f in figures]
    return table("Benchmark", ("part", "figure", "value", "unit", "goal", ""), rows)


def write_lines(path: Path, figures: Sequence[Figure], settings: Mapping[str, Any]) -> None:
    """Append one JSON line for each figure, with the time of the run and what it was set to."""
    run = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 1)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({**run, **settings, **figure.line}) + "\n" for figure in figures)
