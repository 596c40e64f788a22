"""Where the database lives, so that a copy of it notices that it is one.

server      PostgreSQL's system identifier: made with the data directory, and copied with it
database    the database's oid on that server, or the inode of the SQLite file: another one after a restore
            (not the device beside it, whose number changes with a restart on many file systems)
instance    INSTANCE_ID of the environment
address     host:port/name of the connection, or the path of the SQLite file; where no INSTANCE_ID is set
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1")
MAY_SEE_SERVER = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"


@dataclass(frozen=True, slots=True)
class Place:
    """Empty where it cannot be known."""

    server: str = ""
    database: str = ""
    instance: str = ""
    address: str = ""

    @property
    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def here() -> Place:
    name, host = str(connection.settings_dict["NAME"]), str(connection.settings_dict["HOST"])
    if connection.vendor != "postgresql":
        return Place("", _inode(Path(name)), settings.INSTANCE_ID, str(Path(name).absolute()))
    host = "localhost" if host in LOCAL_HOSTS or host.startswith("/") else host
    address = f"{host}:{connection.settings_dict['PORT'] or 5432}/{name}"
    with connection.cursor() as cursor:
        cursor.execute(MAY_SEE_SERVER)
        (may_see_server,) = cursor.fetchone()
        server = "system_identifier::text FROM pg_control_system(), " if may_see_server else "'' FROM "
        cursor.execute(f"SELECT oid::text, {server} pg_database WHERE datname = current_database()")
        oid, identifier = cursor.fetchone()
    return Place(identifier, oid, settings.INSTANCE_ID, address)


def difference(before: Place, now: Place) -> str:
    """In what the two differ, in words; empty if they are the same as far as both are known."""
    if before.server and now.server and before.server != now.server:
        return "The database was copied to another database server."
    if before.database and now.database and before.database != now.database:
        return "The database was restored into a new one, or its file was replaced."
    if before.instance and now.instance:
        if before.instance != now.instance:
            return f"INSTANCE_ID is {now.instance}; the database belongs to {before.instance}."
    elif before.address != now.address:
        return (
            f"The database is reached at {now.address}; it belongs to {before.address}. "
            "Machines that reach one database under different names need the same INSTANCE_ID."
        )
    return ""


def completed(before: Place, now: Place) -> Place:
    """The same place with what has become known of it since, such as an INSTANCE_ID."""
    return Place(
        before.server or now.server,
        before.database or now.database,
        before.instance or now.instance,
        before.address or now.address,
    )


def _inode(path: Path) -> str:
    try:
        return str(path.stat().st_ino)
    except OSError:  # in memory
        return ""
