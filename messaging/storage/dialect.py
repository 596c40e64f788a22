"""Where PostgreSQL and SQLite differ: COPY, arrays as parameters, moments."""

import re
from collections.abc import Iterable
from datetime import datetime

from django.db import connection

ARRAY, ARRAY_ON_SQLITE = "%s::bigint[]", "(SELECT value FROM json_each(%s))"

_is_plain = re.compile(r"[^\\\t\n\r]*").fullmatch


def is_postgres() -> bool:
    return connection.vendor == "postgresql"


def copy_into(table: str, columns: str, lines: str | bytes) -> None:
    # psycopg raises its own errors for a COPY: a cut connection would pass for a defect of ours.
    statement = f"COPY {table} ({columns}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(lines)


def copy_text(value: str) -> str:
    """Escape for COPY's text format."""
    if _is_plain(value):
        return value
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def array(values: Iterable[int]) -> str:
    """Return numbers as an array literal: psycopg takes ten times as long for a list of numbers, twenty for times."""
    opening, closing = "{}" if is_postgres() else "[]"
    return f"{opening}{','.join([f'{value:d}' for value in values])}{closing}"


def array_of_moments(moments: Iterable[datetime | None]) -> str:
    return f"{{{','.join(moment.isoformat() if moment else 'NULL' for moment in moments)}}}"


def moment_value(moment: datetime) -> datetime | str | None:
    return moment if is_postgres() else to_sqlite(moment)


def to_sqlite(moment: datetime | None) -> str | None:
    return connection.ops.adapt_datetimefield_value(moment) if moment else None
