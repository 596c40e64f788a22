"""The servers of a run, which nobody else uses: their time and memory are its own."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from smsapp.demo.scratch import Scratch
from smsapp.runtime.supervisor import ProcessError, Supervisor
from tests.support.servers.services import machine_installation, make_cluster, wheel_installation

#: Safe, with room for the data in memory and without a checkpoint in the middle of a round.
POSTGRESQL = (
    *("fsync=on", "synchronous_commit=on", "full_page_writes=on"),
    *("shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min", "max_connections=100"),
)


class Wrong(Exception):
    """A count is not what it should be; the text says which."""


@contextlib.contextmanager
def postgresql_home() -> Iterator[Path]:
    """Outlives the server, whose files another user owns."""
    with tempfile.TemporaryDirectory(prefix="smsapp-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def start_postgresql(supervisor: Supervisor, home: Path) -> str:
    """URL of a server of the run's own."""
    install = machine_installation() or wheel_installation()
    if install is None:
        raise ProcessError("No PostgreSQL found: install the package postgresql, or requirements/dev.txt.")
    cluster = make_cluster(supervisor, home, install, POSTGRESQL)
    supervisor.start_ready(cluster.program)
    return cluster.url


def environment_of(own: Scratch) -> dict[str, str]:
    """With which Django is set up in the benchmark itself: it reads what its processes write."""
    return {
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
        "VAR_DIR": str(own.folder.resolve()),
        "DATABASE_URL": own.database_url,
        "REDIS_KEY_PREFIX": own.name,
        "LOG_LEVEL": "ERROR",
    }
