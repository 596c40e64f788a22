"""The database's clock: due times, leases and expiries of all machines are compared on it, never on their own.

By its own clock, a machine that is minutes ahead would start campaigns early, take leases that others still hold and
turn tokens away; one that is behind would do all of that late. On SQLite there is one machine, and its clock is used.
"""

import time
from datetime import datetime, timedelta

import psycopg
from django.db import DatabaseError, connection
from django.utils import timezone

READ_EVERY = 60.0  # seconds
#: A clock that nobody sets, shared by all processes. Where possible, one that goes on while the machine sleeps.
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_read: tuple[datetime, float] | None = None  # what the database said, and the steady clock then


def now() -> datetime:
    """Return the exact time, for one query."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def about_now() -> datetime:
    """Return the time to some milliseconds, nearly for free: as last read, carried on by the steady clock.

    While the database is down and was never read it is this machine's time: nothing is decided then.
    """
    global _read
    if connection.vendor != "postgresql":
        return timezone.now()
    if _read is None or time.clock_gettime(STEADY) - _read[1] > READ_EVERY:
        _read = _asked() or _read
    if _read is None:
        return timezone.now()
    moment, read_at = _read
    return moment + timedelta(seconds=time.clock_gettime(STEADY) - read_at)


def _asked() -> tuple[datetime, float] | None:
    """Ask past Django, which would count a query that no request makes.

    Return None if the database is down, or a transaction is broken.
    """
    try:
        connection.ensure_connection()
        asked_at = time.clock_gettime(STEADY)
        moment: datetime = connection.connection.execute("SELECT clock_timestamp()").fetchone()[0]
    except (DatabaseError, psycopg.Error):
        return None
    return moment, (asked_at + time.clock_gettime(STEADY)) / 2
