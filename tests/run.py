"""`make test`: all tests on PostgreSQL with Redis, those marked `both` on SQLite too, and a word on what that was.

`make test-long` (`--long`): those marked `long` instead, which take minutes each.

Arguments are handed to pytest. TEST_PROCESSES is the number of parallel processes of each run: 3 without it, since much
of it waits; 2 of the long ones, which start ten processes each and have deadlines.
REQUIRE_ALL=1: a skipped test fails the run.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from smsapp.runtime.supervisor import StopRequested
from tests.support.servers.services import postgresql, redis_server, run_name

NO_TESTS = 5


@dataclass(frozen=True)
class Outcome:
    database: str
    exit_code: int
    line: str
    skipped: list[str]


def pytest_run(
    database: str, folder: Path, environment: dict[str, str], arguments: list[str], processes: int = 3
) -> Outcome:
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-n", os.environ.get("TEST_PROCESSES") or str(processes), *arguments]
    print(f"\n=== {database}", flush=True)
    own = {"DJANGO_SETTINGS_MODULE": "smsapp.settings.test", "VAR_DIR": str(folder), "TEST_REPORT": str(report)}
    process = subprocess.run(command, env=os.environ | environment | own, check=False)
    said: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"line": "broke off", "skipped": []}
    return Outcome(database, process.returncode, said["line"], said["skipped"])


def run_all(arguments: list[str]) -> int:
    name = run_name()
    folder = tempfile.TemporaryDirectory(prefix="smsapp-tests-", ignore_cleanup_errors=True)
    with folder as path, redis_server(name) as redis, postgresql(name) as database:
        shared = {"REDIS_URL": redis.url, "REDIS_KEY_PREFIX": name, "CELERY_BROKER_URL": redis.url}
        sqlite = {"DATABASE_URL": f"sqlite:///{path}/tests.sqlite3"}
        postgres = shared | {"DATABASE_URL": database.url}
        if "--long" in arguments:
            only_long = ["-m", "long", *(one for one in arguments if one != "--long")]
            return summary([pytest_run(str(database), Path(path), postgres, only_long, processes=2)], str(redis))
        only_both = ["-m", "both and not postgresql and not long", *arguments]
        outcomes = [
            pytest_run(f"SQLite {sqlite3.sqlite_version}", Path(path), shared | sqlite, only_both),
            pytest_run(str(database), Path(path), postgres, ["-m", "not long", *arguments]),
        ]
    return summary(outcomes, str(redis))


def summary(outcomes: list[Outcome], redis: str) -> int:
    skipped = sorted({line for outcome in outcomes for line in outcome.skipped})
    print(f"\nPython {sys.version.split()[0]}, Redis protocol: {redis}")
    print("Skipped: nothing." if not skipped else "Skipped:")
    for line in skipped:
        print(f"  {line}")
    if skipped and os.environ.get("REQUIRE_ALL") == "1":
        print("REQUIRE_ALL=1: a skipped test is a failure.")
    for outcome in outcomes:
        print(f"{outcome.database}:\n===== {outcome.line} =====")
    codes = [outcome.exit_code for outcome in outcomes]
    if codes.count(NO_TESTS) == 1:  # a selection by argument may hold nothing for one of the two
        codes.remove(NO_TESTS)
    return max(codes, key=abs)


def terminated(number: int, frame: FrameType | None) -> None:
    raise StopRequested


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminated)
    try:
        sys.exit(run_all(sys.argv[1:]))
    except (StopRequested, KeyboardInterrupt):
        sys.exit(130)
