"""The embedded default: a file becomes messages in SQLite, while somebody else wants to write, too.

One process reads and stores (`embedded_import.py`), as a worker would. Beside it a writer like the web server takes the
write lock for a row every WRITE_EVERY seconds, and says how long each of its transactions took. The same file is
imported by `bulk_create(1000)` of the ordinary design, in SQLite as well.
"""

import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.everyday import run_ordinary
from tests.benchmarks.figures import Figure
from tests.benchmarks.stand import Stand

PART = "embedded"
ROWS, ORDINARY_ROWS = 50_000, 10_000
WRITE_EVERY = 0.02  # seconds
PATIENCE = 20.0  # seconds, as in the product's settings
TABLE = "CREATE TABLE IF NOT EXISTS bench_written (at REAL)"


@dataclass(frozen=True)
class Embedded:
    """Rows per second; `waits`: seconds of each transaction of the writer."""

    per_second: float
    ordinary: float
    waits: list[float]

    def figures(self) -> list[Figure]:
        return [
            Figure(PART, "file to messages", self.per_second, "rows/s"),
            Figure(PART, "file to messages / bulk_create", self.per_second / self.ordinary, "×", at_least=10),
            Figure(PART, "writes beside it", len(self.waits)),
            Figure(PART, "a write beside it, median", 1000 * median(self.waits), "ms"),
            Figure(PART, "longest write beside it", 1000 * max(self.waits), "ms", at_most=250),
        ]


def measure(stand: Stand) -> Embedded:
    folder = stand.own.folder.resolve() / "embedded"
    folder.mkdir()
    path = folder / "smsapp.sqlite3"
    env = {"DATABASE_URL": f"sqlite:///{path}", "VAR_DIR": str(folder), "CELERY_BROKER_URL": "memory://"}
    rows = min(stand.options.rows, ROWS)
    writer = Writer(path)
    stand.run("tests.benchmarks.embedded_import", "prepare", **env)
    with writer:
        said = stand.run("tests.benchmarks.embedded_import", str(stand.file_of(rows)), **env)
    other = {"ORDINARY_DATABASE_URL": f"sqlite:///{folder / 'ordinary.sqlite3'}"}
    run_ordinary(stand, other, "prepare")
    ordinary = run_ordinary(stand, other, "import", str(stand.file_of(rows)), str(min(rows, ORDINARY_ROWS)))
    return Embedded(rows / said["seconds"], ordinary["count"] / ordinary["seconds"], writer.waits)


class Writer:
    """Writes in a thread of its own while the context lasts."""

    def __init__(self, path: Path) -> None:
        self.waits: list[float] = []
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _write(self) -> None:
        connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
        connection.execute(TABLE)
        while not self._stopping.wait(WRITE_EVERY):
            began = time.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO bench_written VALUES (?)", [began])
            connection.execute("COMMIT")
            self.waits.append(time.monotonic() - began)
        connection.close()
