"""What outlives a supervisor that was killed is found, and ended if it is ours."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smsapp.runtime.left_behind import FOLDER_MARK, end_left_behind, holders_of
from smsapp.runtime.supervisor import NAME_MARK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
HOLD = """
import signal, sqlite3, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute(sys.argv[2])
print("on", flush=True)
time.sleep(60)
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "smsapp.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE t (n)")
    made.close()
    return path


@contextmanager
def holding(database: Path, statement: str = "BEGIN IMMEDIATE", **mark: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLD, str(database), statement]
    with subprocess.Popen(command, env=dict(os.environ) | mark, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "on\n"
            yield process
        finally:
            process.kill()


def test_only_what_a_run_of_this_folder_started_is_ended(tmp_path: Path, database: Path) -> None:
    ours = {FOLDER_MARK: str(tmp_path.resolve()), NAME_MARK: "worker"}
    others = {FOLDER_MARK: f"{tmp_path.resolve()}-other"}
    reading = "SELECT * FROM t"
    with (
        holding(database, **ours) as own,
        holding(database, reading, **others) as other,
        holding(database, reading) as stranger,
    ):
        os.kill(own.pid, signal.SIGSTOP)  # even one that stands still
        assert [text.partition(":")[0] for text in end_left_behind(tmp_path)] == [f"worker (process {own.pid}"]
        assert own.wait(10) == -signal.SIGKILL
        assert (other.poll(), stranger.poll()) == (None, None)
        with sqlite3.connect(database, timeout=0) as free:
            free.execute("BEGIN IMMEDIATE")
        free.close()


def test_a_broker_is_known_by_its_lock(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    lock = tmp_path / "broker" / "lock"
    code = f"import sys, time; file = open({str(lock)!r}, 'w'); print('on', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], env={}, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        broker.stdout.readline()
        assert len(end_left_behind(tmp_path)) == 1
        assert broker.wait(10) == -signal.SIGKILL


def test_the_holder_of_the_write_lock_is_named_among_all_that_have_the_database_open(database: Path) -> None:
    with holding(database, "SELECT * FROM t"), holding(database) as writer:
        (text,) = holders_of(database)
    assert text.startswith(f"process {writer.pid} (")


def test_where_nobody_is_seen_to_write_all_that_have_it_open_are_named(database: Path) -> None:
    with holding(database, "SELECT * FROM t") as one, holding(database, "SELECT * FROM t") as two:
        assert {int(text.split()[1]) for text in holders_of(database)} == {one.pid, two.pid}
    assert holders_of(database) == []
