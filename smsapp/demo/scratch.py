"""What a demonstration makes for itself and takes away again: folder, database, keys on a Redis server.

The folder `var/demo-<pid>` is locked while its demonstration lives and says what else there is to take away, so
that the next one can clear up after one that was killed.
"""

import fcntl
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

from smsapp.runtime.supervisor import ProcessError

logger = logging.getLogger(__name__)

PREFIX = "demo-"
NOTE = "scratch.json"


class Scratch:
    """`database_url` and `redis_url` are those of the environment, or empty for the embedded ones.

    The attributes `database_url` and `redis_url` are for the processes of this run; the second is empty for a broker
    of their own.
    """

    def __init__(self, parent: Path, database_url: str, redis_url: str) -> None:
        self.name = f"smsapp_demo_{os.getpid()}_{secrets.token_hex(3)}"
        self.folder = parent / f"{PREFIX}{os.getpid()}"
        self.server_url = "" if database_url.startswith("sqlite") else database_url
        self.redis_url = redis_url
        self.database_url = f"sqlite:///{self.folder.resolve()}/smsapp.sqlite3"
        if self.server_url:
            self.database_url = urlunsplit(urlsplit(self.server_url)._replace(path=f"/{self.name}"))
        self._lock: IO[str] | None = None

    def make(self) -> None:
        """Raises ProcessError if the database server refuses."""
        self.folder.mkdir(parents=True, mode=0o700)
        self._lock = _locked(self.folder)
        (self.folder / NOTE).write_text(json.dumps({"name": self.name}))
        if self.server_url:
            _administer(self.server_url, "CREATE DATABASE {}", self.name)

    def remove(self, *, keep_folder: bool = False) -> None:
        """All that was made; what cannot be taken away is named in a warning."""
        _remove_outside(self.name, self.server_url, self.redis_url)
        if self._lock:
            self._lock.close()
        if not keep_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def scratch(parent: Path, database_url: str, redis_url: str, *, keep: bool) -> Iterator[Scratch]:
    remove_leftovers(parent, database_url, redis_url)
    own = Scratch(parent, database_url, redis_url)
    try:
        own.make()
        yield own
    finally:
        own.remove(keep_folder=keep)


def remove_leftovers(parent: Path, database_url: str, redis_url: str) -> list[str]:
    """Clear up after demonstrations that were killed; gives the names of the folders removed."""
    removed = []
    for folder in sorted(parent.glob(f"{PREFIX}[0-9]*")):
        lock = _locked(folder)
        if lock is None:
            continue
        with lock:
            if not (folder / "kept").exists():
                _remove_outside(str(_note(folder).get("name", "")), database_url, redis_url)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
    return removed


def _note(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads((folder / NOTE).read_text())
        return content if isinstance(content, dict) else {}
    return {}


def _locked(folder: Path) -> IO[str] | None:
    """An open file that holds the folder's lock; None if a living process holds it."""
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _remove_outside(name: str, server_url: str, redis_url: str) -> None:
    if not name.startswith("smsapp_demo_"):
        return
    if server_url and not server_url.startswith("sqlite"):
        try:
            _administer(server_url, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        except ProcessError as error:
            logger.warning("%s", error)
    if redis_url:
        try:
            delete_keys(redis_url, name)
        except redis.RedisError as error:
            logger.warning("the keys %s* were not deleted: %s", name, error)


def _administer(server_url: str, statement: str, name: str) -> None:
    try:
        with psycopg.connect(server_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise ProcessError(
            f"The database server of DATABASE_URL did not do {statement.format(name)}: {error}"
        ) from error


def delete_keys(redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url, socket_connect_timeout=5) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)
