"""What a run says: progress, the table, the files, the last line."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from smsapp.demo.display import say
from smsapp.queues import FILES, WORKERS
from tests.benchmarks.figures import Figure, shown_table, write_lines
from tests.benchmarks.options import Options
from tests.benchmarks.plot import write_plot

IMPORTERS = {name for name, queues, _ in WORKERS if FILES in queues}
IMPORT_MIB, OTHER_MIB = 250, 150


class Result(Protocol):
    def figures(self) -> list[Figure]: ...


class Report:
    """`line` is the last one: names with None are of parts that were not asked for."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.figures: list[Figure] = []
        names = (
            *("import_per_s", "accepted_per_s", "reports_per_s", "path_per_s", "raw_per_s", "path_vs_raw"),
            *("path_vs_per_message", "cpu_us_per_message", "peak_mib", "single_p95_ms_under_load"),
            *("api_send_per_s", "api_send_p95_ms"),
        )
        self.line: dict[str, Any] = {"rows": options.rows, **dict.fromkeys(names)}

    def add(self, result: Result) -> None:
        self.figures += result.figures()
        self.line |= getattr(result, "line", {})

    def add_memory(self, peak_mib: Mapping[str, float]) -> None:
        """Of the largest process of each program."""
        self.line["peak_mib"] = dict(peak_mib)
        for name, size in peak_mib.items():
            goal = IMPORT_MIB if name in IMPORTERS else OTHER_MIB
            self.figures.append(Figure("memory", f"peak: {name}", size, "MiB", at_most=goal))

    def close(self, about: str) -> None:
        """`about`: the machine and its servers, in a line."""
        options = self._options
        settings = {
            "rows": options.rows,
            "rounds": options.rounds,
            "workers": options.workers,
            "bucket": options.bucket,
        }
        lines, plot = options.folder / "bench.jsonl", options.folder / "bench.svg"
        write_lines(lines, self.figures, settings)
        write_plot(plot, self.figures)
        say(f"\n{shown_table(self.figures)}\n\n{about}\nWritten: {lines}, {plot}\n")
        print(json.dumps({name: _rounded(value) for name, value in self.line.items()}), flush=True)


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
