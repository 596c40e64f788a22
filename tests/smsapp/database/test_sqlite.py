"""A process that stands still inside a transaction on SQLite does not keep the others from writing for ever."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

PREPARE = """
import os, sys, time
from django.conf import settings
from django.db.utils import ConnectionHandler
from smsapp.database.sqlite import base
base.LOOK_EVERY = 0.05
settings.configure(USE_TZ=True)
options = {"transaction_mode": "IMMEDIATE", "transaction_within": 1.0}
handler = ConnectionHandler({"default": {"ENGINE": "smsapp.database.sqlite", "NAME": sys.argv[1], "OPTIONS": options}})
one = handler["default"]
one.ensure_connection()

def begin():
    one.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)

def end():
    one.commit()
    one.set_autocommit(True)
"""
STANDS_STILL = "begin(); time.sleep(60)"
WORKS = """
for _ in range(40):
    begin(); time.sleep(0.05); end()
time.sleep(1.5)
print("fine")
"""
FORKED = """
begin(); end()
if child := os.fork():
    sys.exit(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
one.close()
begin(); time.sleep(60)
"""


def run(code: str, database: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "ignore", "-c", PREPARE + code, str(database)]
    return subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize(("code", "end"), [(STANDS_STILL, -signal.SIGKILL), (FORKED, signal.SIGKILL)])
def test_a_process_that_stands_still_in_a_transaction_ends_itself(tmp_path: Path, code: str, end: int) -> None:
    ended = run(code, tmp_path / "x.sqlite3")
    assert ended.returncode == end, ended.stderr
    assert "this process ends" in ended.stderr
    with sqlite3.connect(tmp_path / "x.sqlite3", timeout=0) as free:
        free.execute("BEGIN IMMEDIATE")
    free.close()


def test_one_that_works_through_many_transactions_does_not(tmp_path: Path) -> None:
    assert run(WORKS, tmp_path / "x.sqlite3").stdout == "fine\n"
