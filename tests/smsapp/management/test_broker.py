"""The embedded broker: a real server, closed to others, that keeps what it was told."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.core.management.base import CommandError

from smsapp.management.commands import broker
from smsapp.runtime.supervisor import Program, Supervisor, accepts_connections, free_port

KEY = "tests-only-" + "k" * 50


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "CELERY_BROKER_URL")}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
        "VAR_DIR": str(folder),
        "SECRET_KEY": KEY,
        "DATABASE_URL": f"sqlite:///{folder}/x.sqlite3",
    }


def command(port: int) -> list[str]:
    return [sys.executable, "manage.py", "broker", "--port", str(port)]


@contextmanager
def running(folder: Path, port: int) -> Iterator[tuple[int, Supervisor]]:
    program = Program(
        "broker", command(port), environment(folder), ready=lambda: accepts_connections(port), cwd=settings.BASE_DIR
    )
    with Supervisor(lambda name, line: None) as supervisor:
        supervisor.start_ready(program)
        yield supervisor.children["broker"].pid, supervisor


def client(folder: Path, port: int) -> redis.Redis:
    password = (folder / "broker" / "valkey.conf").read_text().split("requirepass ")[1].split()[0]
    return redis.Redis(port=port, password=password)


def test_what_it_was_told_survives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port) as (pid, supervisor):
        with client(tmp_path, port) as connection:
            connection.set("kept", "yes")
            connection.execute_command("WAITAOF", 1, 0, 5000)
        os.kill(pid, signal.SIGKILL)
        supervisor.children["broker"].process.wait()
    with running(tmp_path, port), client(tmp_path, port) as connection:
        assert connection.get("kept") == b"yes"


def test_it_is_closed_to_others(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port), redis.Redis(port=port) as stranger, client(tmp_path, port) as owner:
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert owner.config_get("bind") == {"bind": "127.0.0.1"}
        assert owner.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert owner.config_get("appendfsync") == {"appendfsync": "everysec"}
    assert stat.S_IMODE((tmp_path / "broker" / "valkey.conf").stat().st_mode) == 0o600


def test_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, free_port()):
        second = subprocess.run(
            command(free_port()),
            env=environment(tmp_path),
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert second.returncode == 1
    assert "Another broker is already running" in second.stderr


def test_a_machine_that_cannot_run_it_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(CommandError, match=r"cannot run on this machine .*REDIS_URL"):
        broker.binary()
