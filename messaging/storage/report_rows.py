"""Set-based SQL of delivery reports and of the bodies they came in."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from messaging.choices import FactSource
from messaging.models import DeliveryReport, ReportInbox
from messaging.storage.dialect import ARRAY, array, copy_into, copy_text, is_postgres, to_sqlite

_REPORTS, _INBOX = DeliveryReport._meta.db_table, ReportInbox._meta.db_table

_INBOX_COLUMNS = [field.attname for field in ReportInbox._meta.concrete_fields]


class NewReport(NamedTuple):
    """A row of `delivery_reports`. From `status` on, most of many are alike."""

    message_id: int
    done_at: datetime | None
    status: int
    reason: str
    source: str
    provider_status: str
    error_code: str
    error_description: str
    price: Decimal | None
    currency: str
    received_at: datetime


def insert_reports(rows: Sequence[NewReport]) -> None:
    """Store delivery reports: by COPY on PostgreSQL, row by row on SQLite."""
    if not rows:
        return
    columns = ", ".join(NewReport._fields)
    if is_postgres():
        copy_into(_REPORTS, columns, "".join(map(_report_line, rows)))
        return
    marks = ", ".join(["%s"] * len(NewReport._fields))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {_REPORTS} ({columns}) VALUES ({marks})",
            [
                (
                    row.message_id,
                    to_sqlite(row.done_at),
                    *row[2:8],
                    row.price if row.price is None else str(row.price),
                    row.currency,
                    to_sqlite(row.received_at),
                )
                for row in rows
            ],
        )


def _report_line(row: NewReport) -> str:
    done_at = "\\N" if row.done_at is None else row.done_at.isoformat()
    return f"{row.message_id}\t{done_at}\t{_rest_of_report_line(row[2:])}\n"


@lru_cache(maxsize=256)
def _rest_of_report_line(rest: tuple[Any, ...]) -> str:
    """Return what many reports have in common: all fields but the first two."""
    status, reason, source, provider_status, error_code, error_description, price, currency, received_at = rest
    texts = map(copy_text, (provider_status, error_code, error_description))
    amount = "\\N" if price is None else str(price)
    return "\t".join([f"{status:d}", reason, source, *texts, amount, copy_text(currency), received_at.isoformat()])


def insert_body(gateway: str, source: FactSource, body: bytes, report_count: int) -> None:
    """Store a body of delivery reports that wait to be applied.

    On PostgreSQL it travels in binary: as a literal in the statement it is twice as long, and both ends read all of
    that.
    """
    if not is_postgres():
        ReportInbox.objects.create(gateway=gateway, source=source, body=body, report_count=report_count)
        return
    statement = (
        f"INSERT INTO {_INBOX} (gateway, source, body, report_count, received_at, next_attempt_at, unmatched_count, "
        "failure_count, error) VALUES (%s, %s, %b, %s, clock_timestamp(), clock_timestamp(), 0, 0, '')"
    )
    with connection.wrap_database_errors, connection.cursor(), psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, [gateway, source.value, body, report_count])


def read_bodies(ids: Sequence[int]) -> list[ReportInbox]:
    """Return existing bodies in this order, with all columns.

    Rows with deferred columns take Django twice as long. From PostgreSQL they come in binary, not as text of twice the
    length.
    """
    if not is_postgres():
        found = ReportInbox.objects.in_bulk(ids)
    else:
        statement = f"SELECT {', '.join(_INBOX_COLUMNS)} FROM {_INBOX} WHERE id = ANY({ARRAY})"
        with connection.wrap_database_errors, connection.cursor(), psycopg.Cursor(connection.connection) as cursor:
            rows = cursor.execute(statement, [array(ids)], binary=True).fetchall()
        found = {row[0]: ReportInbox.from_db(connection.alias, _INBOX_COLUMNS, row) for row in rows}
    return [found[pk] for pk in ids if pk in found]
