"""SQLite for several processes, of which one writes at a time: one that stands still inside a transaction ends itself.

PostgreSQL ends such a transaction (idle_in_transaction_session_timeout). SQLite lets it hold the write lock for as long
as its process lives. Leases make the end of a process harmless, and whoever runs it starts it again.
"""

import contextlib
import logging
import os
import signal
import sqlite3
import threading
import time
from typing import Any
from weakref import WeakSet

from django.db.backends.sqlite3 import base

logger = logging.getLogger(__name__)

LOOK_EVERY = 2.0  # seconds

_lock = threading.Lock()
_watched: "WeakSet[DatabaseWrapper]" = WeakSet()
_watching_processes: set[int] = set()  # by process id: a thread does not survive a fork


class DatabaseWrapper(base.DatabaseWrapper):
    """OPTIONS["transaction_within"]: seconds after which a transaction ends its process; 0: never."""

    began = 0.0  # when the transaction did, in monotonic seconds
    transaction_within = 0.0

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        self.transaction_within = float(params.pop("transaction_within", 0))
        _keep_to_ourselves(str(params["database"]))
        return params

    def _start_transaction_under_autocommit(self) -> None:
        super()._start_transaction_under_autocommit()  # type: ignore[misc]
        self.began = time.monotonic()
        if self.transaction_within:
            _watch(self)

    def is_overdue(self, now: float) -> bool:
        """Whether a transaction is open for too long; asked from another thread."""
        raw: sqlite3.Connection | None = self.connection
        try:
            return raw is not None and raw.in_transaction and now - self.began > self.transaction_within
        except sqlite3.ProgrammingError:  # it was closed this moment
            return False


def _keep_to_ourselves(database: str) -> None:
    """A file that is not there yet is made for nobody else to read; SQLite gives its companions the same rights."""
    if database.startswith("file:") or ":memory:" in database:
        return
    with contextlib.suppress(OSError):  # it is there, or SQLite says what is wrong
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _watch(wrapper: DatabaseWrapper) -> None:
    if wrapper in _watched and os.getpid() in _watching_processes:
        return
    with _lock:
        _watched.add(wrapper)
        if os.getpid() not in _watching_processes:
            _watching_processes.add(os.getpid())
            threading.Thread(target=_look_for_ever, name="transactions", daemon=True).start()


def _look_for_ever() -> None:
    while True:
        time.sleep(LOOK_EVERY)
        with _lock:
            overdue = [wrapper for wrapper in _watched if wrapper.is_overdue(time.monotonic())]
        for wrapper in overdue:
            logger.critical(
                "a transaction is open for more than %g s and keeps all others from writing: this process ends",
                wrapper.transaction_within,
            )
            os.kill(os.getpid(), signal.SIGKILL)
