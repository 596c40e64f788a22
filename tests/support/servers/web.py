"""The web server as it runs in production, on the test's own database."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from django.conf import settings
from django.db import connection

from smsapp.runtime import programs
from smsapp.runtime.supervisor import Supervisor, free_port
from tests.support.installed import put_installation_back


class Server(NamedTuple):
    """`connect`: another connection to its database, by its driver."""

    host: str
    port: int
    connect: Callable[[], Any]
    pid: int = 0  # of gunicorn's arbiter

    def number(self, query: str) -> int:
        """The one number that a query answers."""
        with self.connect() as own:
            return int(own.execute(query).fetchone()[0])


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """gunicorn with its processes and threads; on SQLite over a copy of the database as it is now."""
    put_installation_back()
    database, connect = _database(folder)
    env = os.environ | {
        "DATABASE_URL": database,
        "VAR_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.test",
        "REDIS_URL": settings.REDIS_URL,
        "REDIS_KEY_PREFIX": f"{settings.REDIS_KEY_PREFIX}-{time.monotonic_ns()}",
    }
    port = free_port()
    with Supervisor(lambda name, line: print(line)) as own:
        own.start_ready(programs.web(env, "127.0.0.1", port))
        yield Server("127.0.0.1", port, connect, own.children["web"].pid)


def _database(folder: Path) -> tuple[str, Callable[[], Any]]:
    values = connection.settings_dict
    if connection.vendor == "postgresql":
        url = f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
        return url, lambda: psycopg.connect(url)
    path = folder / "copy.sqlite3"
    connection.ensure_connection()
    with sqlite3.connect(path) as copy:
        connection.connection.backup(copy)
    return f"sqlite:///{path}", lambda: sqlite3.connect(path)
