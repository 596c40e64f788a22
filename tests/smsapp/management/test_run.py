"""`manage.py run`: everything up, credentials that keep working, everything down again with exit code 0."""

import json
import os
import signal
import socket
import sqlite3
import stat
import sys
from pathlib import Path

import httpx2
import pytest

from smsapp.runtime.supervisor import free_port
from tests.support.servers.installation import running, start, wait_until

pytestmark = [
    pytest.mark.platform,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for child in children for one in (child, *descendants(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_of(folder: Path, text: str = "") -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            mine = entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes()
            if mine and text in (entry / "cmdline").read_text().replace("\0", " "):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.long
def test_it_runs_stops_and_runs_again_with_the_same_key(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, port) as process:
        demo = json.loads((tmp_path / "demo.json").read_text())
        assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600
        assert demo["url"] == f"http://127.0.0.1:{port}"
        assert httpx2.get(f"{demo['simulator_url']}/simulator/health", trust_env=False).status_code == 200
        assert httpx2.get(f"{demo['url']}/health", trust_env=False).json()["data"]["broker"] == "ok"
        assert httpx2.get(f"{demo['url']}/api/v1/docs", trust_env=False).status_code == 200
        wait_until(lambda: processes_of(tmp_path, "worker@"))
        before = processes_of(tmp_path, "worker@")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(processes_of(tmp_path, "worker@")) - set(before))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert processes_of(tmp_path) == []
    said = (tmp_path / "out").read_text()
    assert "worker was ended by SIGKILL. It is started again." in said
    assert said.index("Preparing the database.") < said.index("Applying campaigns.0001_initial") < said.index("Ctrl-C")

    (tmp_path / "out").write_text("")
    with running(tmp_path, free_port()):
        again = json.loads((tmp_path / "demo.json").read_text())
        assert (again["password"], again["api_key"]) == (demo["password"], demo["api_key"])
        assert "Applying" not in (tmp_path / "out").read_text()
        answer = httpx2.get(
            f"{again['url']}/api/v1/account/balance", headers={"X-API-Key": demo["api_key"]}, trust_env=False
        )
        assert answer.status_code == 200


@pytest.mark.long
def test_nothing_outlives_a_killed_supervisor_and_the_next_run_comes_up(tmp_path: Path) -> None:
    """Not even children of workers and of the web server that stand still."""
    port = free_port()
    with start(tmp_path, port) as process:
        try:
            wait_until(lambda: "smsapp is running" in (tmp_path / "out").read_text())
            family = descendants(process.pid)
            assert len(family) > 12  # seven programs, and children of five of them
            for pid in family:
                os.kill(pid, signal.SIGSTOP)
        finally:
            process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in family), 10)
    (tmp_path / "out").write_text("")
    with running(tmp_path, port):
        pass


@pytest.mark.long
def test_whoever_else_holds_the_database_is_named(tmp_path: Path) -> None:
    with running(tmp_path, free_port()):
        pass
    holder = sqlite3.connect(tmp_path / "smsapp.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with start(tmp_path, free_port()) as process:
        assert process.wait(90) == 1
    holder.close()
    assert f"smsapp.sqlite3 is held by process {os.getpid()} (" in (tmp_path / "out").read_text()


def test_a_busy_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with start(tmp_path, port) as process:
            assert process.wait(30) == 1
    assert f"Port {port} is in use." in (tmp_path / "out").read_text()
    assert processes_of(tmp_path) == []
