"""`manage.py demo` tells the truth, notices a lie, survives the kill of a worker and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.conf import settings

from smsapp.demo.display import Progress, table
from smsapp.demo.figures import differences, figures
from smsapp.demo.scratch import Scratch, remove_leftovers, scratch

pytestmark = pytest.mark.platform

UPLOAD = {"row_count": 10, "phone_count": 7, "invalid_count": 2, "duplicate_count": 1}
CAMPAIGN = {
    "total_recipients": 7,
    "waiting": 0,
    "pending": 0,
    "sent": 0,
    "delivered": 5,
    "undelivered": 1,
    "rejected": 1,
    "failed": 0,
    "expired": 0,
    "cancelled": 0,
    "suppressed": 0,
    "unknown": 0,
    "unconfirmed": 0,
}
LEDGER = {"accepted": 6, "delivered": 5, "undelivered": 1, "rejected": 1, "duplicates": 0}
REFUSED = Counter({"duplicate": 1, "not_a_number": 2})
NAME_IN_DATABASE = "SELECT datname FROM pg_database WHERE starts_with(datname, 'smsapp_demo_')"


def wrong(campaign: dict[str, int] = CAMPAIGN, ledger: dict[str, int] = LEDGER, rows: int = 10) -> list[str]:
    return differences(figures(UPLOAD, campaign, 1.0), campaign, ledger, rows, REFUSED)


def test_figures_that_add_up_are_no_difference() -> None:
    assert wrong() == []


@pytest.mark.parametrize(
    ("campaign", "ledger", "rows", "expected"),
    [
        ({}, {"accepted": 7, "delivered": 6}, 10, ["accepted here and in the ledger: 6 and 7", "delivered here"]),
        ({}, {"duplicates": 1}, 10, ["numbers accepted twice by the ledger and none: 1 and 0"]),
        ({}, {}, 11, ["rows read and rows in the file: 10 and 11"]),
        ({"sent": 1, "delivered": 4}, {"delivered": 5}, 10, ["delivered + undelivered and accepted: 5 and 6"]),
        ({"failed": 1, "delivered": 4}, {}, 10, ["accepted + rejected and valid rows: 6 and 7", "failed and none"]),
    ],
)
def test_a_figure_that_does_not_add_up_is_named(
    campaign: dict[str, int], ledger: dict[str, int], rows: int, expected: list[str]
) -> None:
    found = wrong(CAMPAIGN | campaign, LEDGER | ledger, rows)
    for text in expected:
        assert any(line.startswith(text) for line in found), found


def test_progress_without_a_terminal_is_plain_lines() -> None:
    out = StringIO()
    progress = Progress(out)
    for delivered in (0, 1, 5):
        progress.sending(
            CAMPAIGN | {"total_recipients": 5, "sent": 5 - delivered, "delivered": delivered, "rejected": 0}
        )
    first, last = out.getvalue().splitlines()  # the middle one came too soon after the first
    assert first == f"Sending    [{'=' * 40}] 0 pending, 5 sent, 0 delivered"
    assert last == f"Sending    [{'#' * 40}] 0 pending, 0 sent, 5 delivered"


def test_tables_show_no_control_characters_of_a_file() -> None:
    assert "\x1b" not in table("Refused", ("row", "value"), [(1, "\x1b[2Jx")])


def test_leftovers_of_a_killed_demo_are_removed_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    dead = tmp_path / "demo-1"
    dead.mkdir()
    with scratch(tmp_path, "", "", keep=False) as own:
        assert not dead.exists()
        assert remove_leftovers(tmp_path, "", "") == []
        assert own.folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_keys_on_a_shared_redis_server_are_deleted_and_only_those(redis_client: redis.Redis, tmp_path: Path) -> None:
    other = f"{settings.REDIS_KEY_PREFIX}:other"
    redis_client.set(other, 1, ex=60)
    own = Scratch(tmp_path, "", settings.REDIS_URL)
    own.make()
    redis_client.set(f"{own.name}:x", 1, ex=60)
    own.remove()
    assert redis_client.exists(f"{own.name}:x", other) == 1
    redis_client.delete(other)


@pytest.fixture
def embedded() -> dict[str, str]:
    """An environment that names no server, only a gateway that must not be used."""
    named = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "REDIS_KEY_PREFIX", "DJANGO_SETTINGS_MODULE")
    kept = {name: value for name, value in os.environ.items() if name not in named}
    # Short leases, so that what a killed worker held is soon taken up again.
    timers = {"GATEWAY_TIMEOUT": "5", "LEASE_MARGIN": "2", "LEASE_SECONDS": "10"}
    return kept | timers | {"INFOBIP_BASE_URL": "https://gateway.invalid", "INFOBIP_API_KEY": "never used"}


def demo(folder: Path, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--timeout", "90"],
        env=environment | {"VAR_DIR": str(folder)},
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> Iterator[tuple[int, str]]:
    """Living processes that were given this folder."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes():
                yield int(entry.name), (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue


def wait_for(folder: Path, text: str, seconds: float = 60) -> list[int]:
    deadline = time.monotonic() + seconds
    while not (found := [pid for pid, line in processes_of(folder) if text in line]):
        assert time.monotonic() < deadline, f"no process with {text!r}"
        time.sleep(0.1)
    return found


def kill_in_the_middle(folder: Path) -> None:
    """Kill the worker of campaigns and its children as soon as the simulator has been handed anything."""
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in folder.glob("demo-*/ledger.jsonl")):
        assert time.monotonic() < deadline, "nothing was handed over"
        time.sleep(0.01)
    for pid in wait_for(folder, "worker@"):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_the_demo_adds_up_though_a_worker_is_killed(tmp_path: Path, embedded: dict[str, str]) -> None:
    with demo(tmp_path, embedded) as process:
        kill_in_the_middle(tmp_path)
        out, errors = process.communicate(timeout=150)
    assert process.returncode == 0, out + errors
    outcome: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert outcome["rows"] == 1000 == outcome["valid"] + outcome["invalid"] + outcome["duplicates"]
    assert outcome["accepted"] + outcome["rejected"] == outcome["valid"] > 900
    assert outcome["unknown"] == 0
    assert list(processes_of(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.postgresql
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_stopped_demo_leaves_nothing_on_servers_it_was_given(
    tmp_path: Path, redis_client: redis.Redis, embedded: dict[str, str]
) -> None:
    database = os.environ["DATABASE_URL"].rpartition("/")[0] + "/postgres"
    with psycopg.connect(database, autocommit=True) as connection:
        before = set(connection.execute(NAME_IN_DATABASE).fetchall())
        with demo(tmp_path, embedded | {"DATABASE_URL": database, "REDIS_URL": settings.REDIS_URL}) as process:
            wait_for(tmp_path, "celery")
            (own,) = set(connection.execute(NAME_IN_DATABASE).fetchall()) - before
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert process.returncode == 130
        assert own not in connection.execute(NAME_IN_DATABASE).fetchall()
    assert list(redis_client.scan_iter(match=f"{own[0]}*", count=1000)) == []
    assert list(processes_of(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]
