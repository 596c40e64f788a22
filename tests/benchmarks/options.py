"""What `make bench` measures, and at what size: everything from the environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smsapp.runtime.programs import ROOT

SMALLER = (10_000, 100_000)  # sizes of file that ROWS is compared with, where GROWTH does not say it
PARTS = ("path", "growth", "singles", "api", "dashboard", "numbers", "embedded", "upkeep", "appliers")


@dataclass(frozen=True)
class Options:
    """`rows` of the file, `rounds` of product and raw limit in turn, `workers` copies of each worker process.

    `growth`: sizes of file whose cost is compared. `dashboard_rows`: messages behind the screens. `numbers` in each of
    three lists. `sample`: messages of the ordinary design. `bucket`: results in one push of delivery reports, as an
    account has it with its provider. `calls` of each kind by so many `clients` at a time. `seconds` bounds each single
    wait.
    """

    rows: int = 100_000
    rounds: int = 3
    workers: int = 2
    growth: tuple[int, ...] = ()
    dashboard_rows: int = 1_000_000
    numbers: int = 200_000
    sample: int = 500
    bucket: int = 100
    calls: int = 2000
    clients: int = 8
    seconds: float = 900.0
    only: tuple[str, ...] = PARTS
    keep: bool = False
    folder: Path = ROOT / "var"


def options_from(environment: Mapping[str, str]) -> Options:
    """Ends the program with a word on what is wrong."""
    default = Options()
    rows = _number(environment, "ROWS", default.rows)
    only = tuple(part for part in environment.get("ONLY", "").split(",") if part) or PARTS
    if unknown := set(only) - set(PARTS):
        sys.exit(f"ONLY may name {', '.join(PARTS)}, not {', '.join(sorted(unknown))}.")
    return Options(
        rows=rows,
        rounds=_number(environment, "ROUNDS", default.rounds),
        workers=_number(environment, "WORKERS", default.workers),
        growth=_sizes(environment, "GROWTH") or (*(size for size in SMALLER if size < rows), rows),
        dashboard_rows=_number(environment, "DASHBOARD_ROWS", default.dashboard_rows),
        numbers=_number(environment, "NUMBERS", default.numbers),
        sample=_number(environment, "SAMPLE", default.sample),
        bucket=_number(environment, "BUCKET", default.bucket),
        calls=_number(environment, "CALLS", default.calls),
        clients=_number(environment, "CLIENTS", default.clients),
        seconds=_number(environment, "TIMEOUT", int(default.seconds)),
        only=only,
        keep=environment.get("KEEP", "") not in ("", "0"),
        folder=Path(environment.get("VAR_DIR") or default.folder),
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not int(text):
        sys.exit(f"{name} must be a whole number, 1 or more, not {text!r}.")
    return int(text)


def _sizes(environment: Mapping[str, str], name: str) -> tuple[int, ...]:
    texts = [text for text in environment.get(name, "").split(",") if text]
    if not all(text.isdecimal() and int(text) for text in texts):
        sys.exit(f"{name} must be whole numbers with commas between them, not {environment[name]!r}.")
    return tuple(sorted({int(text) for text in texts}))


OUTSIDE = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "REDIS_KEY_PREFIX", "DATABASE_CONN_MAX_AGE")


def forget_outside() -> None:
    """The servers measured are the run's own, so that their time and memory are its own too."""
    for name in OUTSIDE:
        os.environ.pop(name, None)
