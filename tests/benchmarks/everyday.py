"""Runs the ordinary design (`ordinary/`) on the same servers."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smsapp.runtime import programs
from smsapp.runtime.supervisor import Program
from tests.benchmarks.processes import cpu_seconds, difference
from tests.benchmarks.stand import Stand

MODULE = "tests.benchmarks.ordinary"
DATABASE = WORKER = "ordinary"
THREADS = 32  # at least as fast as prefork with 8 or 16: most of it waits, and for the database
IMPORTED_ROWS = 20_000
REPORTS = 2_000
WARMING_UP = 20  # messages


@dataclass(frozen=True)
class Ordinary:
    """All per second, but `cpu_us`, of each message. `path` in messages: file to the last report applied."""

    path: float
    cpu_us: float
    import_rows: float
    reports_alone: float


def measure(stand: Stand) -> Ordinary:
    env = {
        "ORDINARY_DATABASE_URL": stand.make_database(DATABASE),
        "ORDINARY_BROKER_URL": stand.redis_url,
        "ORDINARY_PROVIDER_URL": f"http://127.0.0.1:{stand.stub_port}",
    }
    run_ordinary(stand, env, "prepare")
    stand.supervisor.start(_worker(os.environ | env))
    rows = stand.options.rows
    file = str(stand.file_of(rows))
    run_ordinary(stand, env, "path", file, str(WARMING_UP))  # when it is through, the worker is there
    before = cpu_seconds(stand.supervisor.children)
    way = run_ordinary(stand, env, "path", file, str(stand.options.sample))
    cpu = difference(before, cpu_seconds(stand.supervisor.children))
    stand.supervisor.stop(WORKER)
    imported = run_ordinary(stand, env, "import", file, str(min(rows, IMPORTED_ROWS)))
    reported = run_ordinary(stand, env, "reports", file, str(min(rows, REPORTS)))
    stand.drop_database(DATABASE)
    return Ordinary(
        path=way["count"] / (way["accepted"] + way["reported"]),
        cpu_us=1e6 * (way["cpu"] + sum(cpu[name] for name in (WORKER, "postgres", "broker"))) / way["count"],
        import_rows=imported["count"] / imported["seconds"],
        reports_alone=reported["count"] / reported["seconds"],
    )


def run_ordinary(stand: Stand, env: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """What the command printed."""
    return stand.run(MODULE, *arguments, **env, DJANGO_SETTINGS_MODULE=f"{MODULE}.settings")


def _worker(env: programs.Environment) -> Program:
    command = [
        *(sys.executable, "-W", "ignore", "-m", "celery", "--quiet", "-A", f"{MODULE}.tasks", "worker"),
        *("-n", f"{WORKER}@%h", "-P", "threads", "-c", str(THREADS), "--without-gossip", "--without-mingle"),
    ]
    settings = {"DJANGO_SETTINGS_MODULE": f"{MODULE}.settings"}
    return Program(WORKER, command, {**env, **settings}, cwd=programs.ROOT)
