"""Outages in which nobody is killed: connections that are cut, a disk that is full, a database that is read-only."""

import contextlib
import pwd
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from smsapp.queues import WORKERS
from smsapp.runtime.supervisor import Supervisor
from tests.chaos.kills import processes_of
from tests.chaos.patience import LOOK

#: Whose files are on the disk that fills up: of what an installation runs, and of a PostgreSQL of its own.
ON_SQLITE = ("web", *(name for name, *_ in WORKERS), "beat", "broker")
ON_POSTGRESQL = ("postgres", "broker")

# As the user of those processes: of others' a superuser in a container may not set limits either.
LIMITER = """
import contextlib, os, resource, sys
user, wanted, *pids = sys.argv[1:]
if user:
    import pwd
    entry = pwd.getpwnam(user)
    os.setgroups([]), os.setgid(entry.pw_gid), os.setuid(entry.pw_uid)
for pid in map(int, pids):
    with contextlib.suppress(ProcessLookupError):
        most = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if wanted == "full" else most, most))
"""
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def cut_connections(database_url: str) -> int:
    """Cut every connection to this database, whoever has it; how many."""
    with psycopg.connect(database_url, autocommit=True, connect_timeout=5) as connection:
        return len(connection.execute(CUT).fetchall())


def fill_disk(supervisor: Supervisor, programs: tuple[str, ...], seconds: float) -> None:
    """For so long no process of these programs can write to any file; those that end are started again as always.

    A limit of file size stands for the full disk, which nobody may make on this machine: writes fail with EFBIG.
    SQLite gives its caller an I/O error. PostgreSQL panics, as it does when there is no room for its log, and does not
    come up again before there is.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _limit(supervisor, programs, is_full=True)
        supervisor.watch()
        time.sleep(LOOK)
    while _limit(supervisor, programs, is_full=False):  # until none is found that was being started meanwhile
        pass
    supervisor.watch()


def make_read_only(server_url: str, database_url: str, seconds: float) -> None:
    """For so long nobody can write to this database: what can be had of a full disk on a server that is not ours."""
    name = urlsplit(database_url).path.removeprefix("/")
    with psycopg.connect(server_url, autocommit=True, connect_timeout=5) as connection:
        for statement, wait in (("SET default_transaction_read_only = on", seconds), ("RESET ALL", 0)):
            connection.execute(sql.SQL("ALTER DATABASE {} " + statement).format(sql.Identifier(name)))
            cut_connections(database_url)
            time.sleep(wait)


def _limit(supervisor: Supervisor, programs: tuple[str, ...], *, is_full: bool) -> int:
    """How many processes had to be told."""
    told = 0
    for child in (supervisor.children[name] for name in programs if name in supervisor.children):
        user = child.program.user
        # One that is being started is not that user's yet, and is told at the next look.
        pids = [pid for pid in sorted(processes_of(child)) if _has_room(pid) is is_full and _is_of(pid, user)]
        if pids:
            arguments = [user, "full" if is_full else "free", *map(str, pids)]
            subprocess.run([sys.executable, "-I", "-S", "-c", LIMITER, *arguments], check=True, timeout=10)
        told += len(pids)
    return told


def _is_of(pid: int, user: str) -> bool:
    with contextlib.suppress(OSError):
        return not user or Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(user).pw_uid
    return False


def _has_room(pid: int) -> bool | None:
    """None if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith("Max file size"):
                return line.split()[3] != "0"
    return None
