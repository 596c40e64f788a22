"""A worker whose pool has stopped working ends, and no other does."""

import os
import signal
import subprocess
import sys
import time

import pytest
from celery import Celery
from django.conf import settings

from smsapp.runtime.supervisor import group_members
from smsapp.runtime.watchdog import STUCK_BEYOND_TIME_LIMIT, Watchdog

IDLE, LIMIT = 20.0, 120.0
A, B = frozenset({"a"}), frozenset({"b"})


def stuck_at(*looks: tuple[float, frozenset[str], int]) -> list[float]:
    """Of looks (time, reserved, active) those that find it stuck."""
    watchdog = Watchdog(IDLE, LIMIT)
    return [at for at, reserved, active in looks if watchdog.is_stuck(reserved, active, at)]


def test_tasks_that_nobody_begins_show_a_dead_pool():
    assert stuck_at((0, A, 0), (IDLE, A, 0), (IDLE + 1, A | B, 0)) == [IDLE + 1]


def test_a_pool_that_ends_one_task_after_the_other_is_alive():
    assert stuck_at((0, A, 0), (15, B, 1), (30, A, 0), (45, B, 0), (60, A | B, 1)) == []


def test_an_idle_worker_is_not_stuck():
    nothing: frozenset[str] = frozenset()
    assert stuck_at((0, nothing, 0), (1000, nothing, 0), (2000, A, 0), (2001, A, 0)) == []


def test_a_task_under_way_has_its_whole_time_limit_and_some_more():
    end = LIMIT + STUCK_BEYOND_TIME_LIMIT
    assert stuck_at((0, A, 1), (end, A, 1), (end + 1, A, 1)) == [end + 1]


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_real_worker_with_a_dead_pool_ends(redis_client, tmp_path):
    """Its children stand still, as they do when one of them died with the queue's lock in its hands."""
    prefix = f"{settings.REDIS_KEY_PREFIX}-watchdog"
    own = {"REDIS_KEY_PREFIX": prefix, "WORKER_STUCK_AFTER": "3", "VAR_DIR": str(tmp_path)}
    own |= {"DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3", "DJANGO_SETTINGS_MODULE": "smsapp.settings.base"}
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "smsapp", "worker", "-Q", "watched", "-c", "2"]
    worker = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle"], env=os.environ | own, start_new_session=True
    )
    try:
        wait_until(lambda: len(group_members(worker.pid)) >= 3)
        app = Celery(broker=settings.REDIS_URL, set_as_current=False)
        app.conf.broker_transport_options = {"global_keyprefix": f"{prefix}:"}
        app.send_task("messaging.purge", queue="watched")  # which breaks at once, and shows that all is ready
        wait_until(lambda: not redis_client.llen(f"{prefix}:watched"))
        time.sleep(1)
        for child in set(group_members(worker.pid)) - {worker.pid}:
            os.kill(child, signal.SIGSTOP)
        app.send_task("messaging.purge", queue="watched")
        assert worker.wait(30) == -signal.SIGKILL
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
