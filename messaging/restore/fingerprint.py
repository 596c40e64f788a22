"""Where the database lives, so that a copy of it is detected.

server      PostgreSQL's system identifier: made with the data directory, and copied with it
database    the database's oid on that server, or the inode of the SQLite file: another one after a restore
            (not the device, whose number changes with a restart on many file systems)
instance    INSTANCE_ID of the environment
address     host:port/name of the connection, or the path of the SQLite file, where no INSTANCE_ID is set. Several
            where the same running server, which began to run at `started`, was reached by them

PostgreSQL also has a timeline, which changes with a recovery from an archive or a failover: the same place, but perhaps
an earlier time.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper

MAX_ADDRESSES = 20
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")
MAY_SEE_SERVER = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
MAY_SEE_TIMELINE = "SELECT has_function_privilege('pg_control_checkpoint()', 'EXECUTE')"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Empty fields are unknown. `address`: all known ones, separated by spaces."""

    server: str = ""
    database: str = ""
    instance: str = ""
    address: str = ""
    timeline: str = ""
    started: str = ""

    @property
    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def here() -> Fingerprint:
    name, host = str(connection.settings_dict["NAME"]), str(connection.settings_dict["HOST"])
    if connection.vendor != "postgresql":
        return Fingerprint("", _inode(Path(name)), settings.INSTANCE_ID, str(Path(name).absolute()))
    host = "localhost" if host in LOCAL_HOSTS or host.startswith("/") else host
    address = f"{host}:{connection.settings_dict['PORT'] or 5432}/{name}"
    with connection.cursor() as cursor:
        server = _asked(cursor, MAY_SEE_SERVER, "system_identifier FROM pg_control_system()")
        timeline = _asked(cursor, MAY_SEE_TIMELINE, "timeline_id FROM pg_control_checkpoint()")
        cursor.execute(
            "SELECT oid::text, pg_postmaster_start_time()::text FROM pg_database WHERE datname = current_database()"
        )
        oid, started = cursor.fetchone()
    return Fingerprint(server, oid, settings.INSTANCE_ID, address, timeline, started)


def _asked(cursor: CursorWrapper, may_ask: str, what: str) -> str:
    """Return one value of PostgreSQL's; empty for a role that may not ask for it."""
    cursor.execute(may_ask)
    if not cursor.fetchone()[0]:
        return ""
    cursor.execute(f"SELECT {what}")
    return str(cursor.fetchone()[0])


def difference(before: Fingerprint, now: Fingerprint) -> str:
    """Return how the two differ, in words; empty if they are the same as far as both are known."""
    if before.server and now.server and before.server != now.server:
        return "The database was copied to another database server."
    if before.database and now.database and before.database != now.database:
        return "The database was restored into a new one, or its file was replaced."
    if before.instance and now.instance:
        if before.instance != now.instance:
            return f"INSTANCE_ID is {now.instance}; the database belongs to {before.instance}."
    elif now.address not in before.address.split() and not _is_same_server(before, now):
        return (
            f"The database is reached at {now.address}; it belongs to {before.address.replace(' ', ' and ')}. "
            "Machines that reach one database under different names need the same INSTANCE_ID."
        )
    return ""


def _is_same_server(before: Fingerprint, now: Fingerprint) -> bool:
    """Return whether it is the known server, still running, reached by another name or through a pooler.

    A copy was started at another time.
    """
    is_known = bool(before.server and before.started)
    return is_known and (before.server, before.started) == (now.server, now.started)


def completed(before: Fingerprint, now: Fingerprint) -> Fingerprint:
    """Return the fingerprint with what has become known since, such as an INSTANCE_ID or another address."""
    addresses = before.address.split()
    return Fingerprint(
        before.server or now.server,
        before.database or now.database,
        before.instance or now.instance,
        " ".join(addresses if now.address in addresses else [*addresses, now.address][-MAX_ADDRESSES:]),
        before.timeline or now.timeline,
        now.started,
    )


def has_recovered(before: Fingerprint, now: Fingerprint) -> bool:
    """Return whether PostgreSQL was recovered from an archive or a replica since."""
    return bool(before.timeline and now.timeline and before.timeline != now.timeline)


def _inode(path: Path) -> str:
    try:
        return str(path.stat().st_ino)
    except OSError:  # in memory
        return ""
