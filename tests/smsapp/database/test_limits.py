"""No statement waits for ever: neither at the server, nor for a server or a way to it that has fallen silent."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler

from accounts import idempotency
from smsapp.database.errors import is_outage
from smsapp.database.limits import Kind, kind_of, time_limits
from smsapp.monitoring import checks
from tests.support.factories import make_api_key

BODY = {"phone_numbers": ["+4915112345678"], "message": "Hello"}
on_postgresql = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


class Relay:
    """A proxy in front of the database server. Once `silent` it acknowledges what it is sent and passes nothing on, as
    a server that stands still does."""

    def __init__(self) -> None:
        self.silent = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        server = connection.settings_dict["HOST"] or "127.0.0.1", int(connection.settings_dict["PORT"] or 5432)
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(server)
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self.silent:
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def connected(statement: float, relay: Relay | None = None, **options: Any) -> Iterator[Any]:
    """A connection of its own to the tests' database."""
    own = connection.settings_dict | {"OPTIONS": time_limits(statement, at_start=True) | options}
    if relay:
        own |= {"HOST": "127.0.0.1", "PORT": relay.port}
    one = ConnectionHandler({"default": own})["default"]
    try:
        yield one
    finally:
        one.close()


def value_of(one: Any, statement: str) -> Any:
    with one.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("/opt/venv/bin/gunicorn", Kind.WEB),
        ("/opt/venv/lib/python3.13/site-packages/gunicorn/__main__.py", Kind.WEB),
        ("/opt/venv/bin/celery", Kind.WORKER),
        ("/opt/venv/lib/python3.13/site-packages/celery/__main__.py", Kind.WORKER),
        ("manage.py", Kind.COMMAND),
        ("", Kind.COMMAND),
    ],
)
def test_a_process_knows_what_it_is(program: str, kind: Kind) -> None:
    assert kind_of(program) is kind


@pytest.mark.parametrize(
    ("program", "own", "limit"),
    [
        ("gunicorn", {}, "statement_timeout=5000ms -c lock_timeout=4000ms"),
        ("celery", {}, "statement_timeout=60000ms -c lock_timeout=10000ms"),
        ("gunicorn", {"DATABASE_WEB_TIMEOUT": "20"}, "statement_timeout=20000ms -c lock_timeout=10000ms"),
        ("gunicorn", {"DATABASE_STARTUP_OPTIONS": "false"}, "None"),
    ],
)
def test_a_web_server_has_less_time_than_a_worker(program: str, own: dict[str, str], limit: str) -> None:
    code = (
        f"import sys; sys.argv[0] = {program!r}\n"
        "from smsapp.settings.base import DATABASES\n"
        "print(DATABASES['default']['OPTIONS'].get('options'))"
    )
    environment = os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1/none"} | own
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=settings.BASE_DIR,
    ).stdout
    assert limit in told


class TestOnPostgreSQL:
    pytestmark = on_postgresql

    def test_limits_are_in_force_at_the_server_and_on_the_socket(self) -> None:
        with connected(5) as one:
            assert value_of(one, "SHOW statement_timeout") == "5s"
            assert value_of(one, "SHOW lock_timeout") == "4s"
            assert value_of(one, "SHOW idle_in_transaction_session_timeout") == "30s"
            with socket.socket(fileno=os.dup(one.connection.fileno())) as raw:
                assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                if sys.platform == "linux":
                    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
                    assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10

    def test_the_server_ends_a_statement_that_takes_too_long(self) -> None:
        with connected(0.3) as one, pytest.raises(OperationalError) as caught:
            value_of(one, "SELECT pg_sleep(30)")
        assert caught.value.__cause__.sqlstate == "57014"

    def test_a_server_that_falls_silent_is_given_up_and_asked_again_later(self) -> None:
        relay = Relay()
        with connected(5, relay, answer_within=0.5) as one:
            assert value_of(one, "SELECT 1") == 1
            relay.silent = True
            with pytest.raises(OperationalError, match="did not answer") as caught:
                value_of(one, "SELECT 1")
            assert is_outage(caught.value)
            relay.silent = False
            one.close_if_unusable_or_obsolete()
            assert value_of(one, "SELECT 2") == 2
        relay.close()

    def test_a_server_that_takes_no_connections_is_given_up(self) -> None:
        """One whose queue of connections is full answers nothing at all to the next."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(address)
            options = time_limits(5, at_start=True) | {"connect_timeout": 2}
            own = connection.settings_dict | {"OPTIONS": options, "HOST": address[0], "PORT": address[1]}
            with pytest.raises(OperationalError) as caught:
                ConnectionHandler({"default": own})["default"].ensure_connection()
            assert is_outage(caught.value)
            for one in waiting:
                one.close()

    @pytest.mark.parametrize("path", ["/api/v1/sms/send", "/accounts/sign-in/"])
    def test_a_request_that_takes_too_long_is_told_to_come_again(self, client: Any, path: str) -> None:
        client.raise_request_exception = False
        key = make_api_key()[1]
        with psycopg.connect(**connection.get_connection_params() | {"context": None}) as other:
            other.execute("LOCK TABLE accounts_user, sms_campaigns IN ACCESS EXCLUSIVE MODE")
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = '200ms'")
            if path.startswith("/api"):
                answer = client.post(path, BODY, content_type="application/json", headers={"X-API-Key": key})
            else:
                answer = client.post(path, {"username": "somebody", "password": "something"})
        connection.close()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")

    def test_missing_limits_are_named(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        assert [found.id for found in checks.statement_limits(None)] == ["smsapp.W123"]
        connection.close()
        assert checks.statement_limits(None) == []


def test_who_waits_for_another_call_gives_up_before_the_statement_does() -> None:
    assert idempotency.WAIT < 5
