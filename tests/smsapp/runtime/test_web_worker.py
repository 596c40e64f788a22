"""The web server answers whoever speaks, however many say nothing or say it slowly. With its processes and threads."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from smsapp.runtime import web_worker
from smsapp.runtime.programs import WEB_PROCESSES, WEB_THREADS
from tests.support.servers.web import Server, running_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
THREADS = WEB_PROCESSES * WEB_THREADS
HALF = b"POST /api/v1/sms/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
ANSWERED_WITHIN = 10.0  # seconds; gunicorn's own worker takes minutes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker) -> Iterator[Server]:
    with django_db_blocker.unblock(), running_server(tmp_path_factory.mktemp("web")) as running:
        yield running


@contextlib.contextmanager
def connected(server: Server, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection((server.host, server.port), timeout=30))
            if said:
                one.sendall(said)
            found.append(one)
        yield found


def is_well(server: Server) -> bool:
    url = f"http://{server.host}:{server.port}/health/live"
    return httpx2.get(url, timeout=ANSWERED_WITHIN, trust_env=False).status_code == 200


def test_a_thousand_connections_that_say_nothing_hold_no_thread(server: Server) -> None:
    with connected(server, 1000):
        assert all(is_well(server) for _ in range(20))


@pytest.mark.long
def test_who_has_said_nothing_for_long_is_cut_off(server: Server) -> None:
    with connected(server, 1) as (silent,):
        began = time.monotonic()
        assert silent.recv(1) == b""
        assert time.monotonic() - began > web_worker.FIRST_BYTE_WITHIN / 2


@pytest.mark.long
def test_who_speaks_too_slowly_is_cut_off_and_the_next_is_answered(server: Server) -> None:
    with connected(server, THREADS, said=HALF) as slow:
        time.sleep(1)  # each has a thread now
        url = f"http://{server.host}:{server.port}/health/live"
        assert httpx2.get(url, timeout=2 * web_worker.READ_WITHIN, trust_env=False).status_code == 200
        slow[0].settimeout(2 * web_worker.READ_WITHIN)  # it may have got its thread after the others
        with contextlib.suppress(ConnectionError):
            assert slow[0].recv(100) == b""


def test_a_connection_is_kept_between_calls(server: Server) -> None:
    with httpx2.Client(base_url=f"http://{server.host}:{server.port}", trust_env=False) as client:
        first = client.get("/health/live").extensions["network_stream"].get_extra_info("client_addr")
        time.sleep(0.2)
        assert client.get("/health/live").extensions["network_stream"].get_extra_info("client_addr") == first


def test_no_header_moves_a_request_to_another_path(server: Server) -> None:
    """A proxy that keeps the console from the world looks at the path that it passes on."""
    url = f"http://{server.host}:{server.port}/health/live"
    answer = httpx2.get(url, headers={"SCRIPT_NAME": "/health", "Script-Name": "/health"}, trust_env=False)
    assert answer.status_code == 200


def test_a_server_that_is_stopped_loses_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says no to who asks whether to send requests here, and answers those that come all the same."""
    monkeypatch.setenv("DRAIN_SECONDS", "3")
    with running_server(tmp_path) as server:
        url = f"http://{server.host}:{server.port}"
        assert httpx2.get(f"{url}/health/ready", trust_env=False).status_code == 200
        os.kill(server.pid, signal.SIGTERM)
        statuses, told = [], []
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            statuses.append(httpx2.get(f"{url}/health/live", timeout=5, trust_env=False).status_code)
            told.append(httpx2.get(f"{url}/health/ready", timeout=5, trust_env=False).status_code)
            time.sleep(0.05)
        assert set(statuses) == {200}
        assert told[-1] == 503
        assert len(statuses) > 2
