"""A database that was put back, and its release."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.utils import timezone
from django_redis import get_redis_connection

from accounts.security import sending_hold
from messaging.restore import detection, high_water_mark, release
from tests.support.pipeline.rounds import eventually


def new_connection() -> None:
    """What tells a process to look again."""
    connection_created.send(type(connection), connection=connection)


@contextmanager
def lost_time() -> Iterator[None]:
    """What is done in here is forgotten by the database, as by putting back a backup; the world outside keeps it."""
    before = sequence()
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('messaging_batch_id_seq', %s)", [before])
    new_connection()


def sequence() -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM messaging_batch_id_seq")
        return int(cursor.fetchone()[0])


def released() -> bool:
    return not sending_hold.is_held()


def release_all(**options: Any) -> None:
    release.request("anna", **options)
    eventually(released, release.take_step)


@contextmanager
def machine_put_back(folder: Path, stopped_for: timedelta = timedelta(minutes=5)) -> Iterator[None]:
    """What is done in here is forgotten by the database and by its witnesses, as on a machine that was put back."""
    file = (folder / "witness.json").read_bytes()
    key = get_redis_connection("default").get(high_water_mark.OUTSIDE.key)
    with lost_time():
        yield
    (folder / "witness.json").write_bytes(file)
    get_redis_connection("default").set(high_water_mark.OUTSIDE.key, key)
    stop(stopped_for)


def stop(stopped_for: timedelta = timedelta(minutes=5)) -> None:
    """As if everything had been stopped for so long."""
    mark = detection.last_mark()
    detection.LAST_ALIVE.put(replace(mark, at=timezone.now() - stopped_for))
    new_connection()
