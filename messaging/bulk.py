"""The set-based SQL of the hot path: PostgreSQL and SQLite behind the same plain functions.

Callers hold the lock of the batch whose messages they touch (see `settlement.py`); nothing here opens a
transaction of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from django.db import connection
from django.db.models import Case, F, Value, When

from accounts import hold
from campaigns.choices import CampaignStatus
from campaigns.tally import COUNTED_STATUSES, Tally
from messaging.choices import BATCH, Actor, BatchState, MessageStatus
from messaging.models import Batch, Message

_TABLE = Message._meta.db_table


class NewMessage(NamedTuple):
    """A row as expansion stores it; `variables` is a JSON array or empty."""

    id: int
    campaign_id: int
    row: int
    phone_number: str
    variables: str
    status: int
    reason: str
    detail: str
    segment_count: int


class StoredMessage(NamedTuple):
    """What `apply` needs to know of a row."""

    id: int
    campaign_id: int
    status: int
    segment_count: int
    sent_at: datetime | None


class QueuedMessage(NamedTuple):
    """What a call needs to know of a row."""

    id: int
    phone_number: str
    variables: str


class MessageChange(NamedTuple):
    """The new state of a row, whole."""

    id: int
    status: int
    reason: str
    detail: str
    sent_at: datetime | None
    done_at: datetime | None


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _copy_text(value: str) -> str:
    """Escape for COPY's text format."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def insert_messages(rows: Sequence[NewMessage]) -> None:
    columns = ", ".join(NewMessage._fields)
    if _is_postgres():
        lines = [
            f"{id_}\t{campaign}\t{row}\t{phone}\t{_copy_text(variables)}\t{status}\t{reason}\t{_copy_text(detail)}"
            f"\t{segments}\n"
            for id_, campaign, row, phone, variables, status, reason, detail, segments in rows
        ]
        statement = f"COPY {_TABLE} ({columns}) FROM STDIN"
        # Of a COPY, psycopg raises its own errors: a connection that was cut would pass for a defect of ours.
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write("".join(lines))
        return
    marks = ", ".join(["%s"] * len(NewMessage._fields))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {_TABLE} ({columns}) VALUES ({marks})", rows)  # noqa: S608


def read_messages(numbers: Iterable[int]) -> dict[int, StoredMessage]:
    """The rows with these numbers that exist, by number."""
    wanted = list(numbers)
    columns = ", ".join(StoredMessage._fields)
    with connection.cursor() as cursor:
        if _is_postgres():
            cursor.execute(f"SELECT {columns} FROM {_TABLE} WHERE id = ANY(%s)", [wanted])  # noqa: S608
            return {row[0]: StoredMessage(*row) for row in cursor.fetchall()}
        cursor.execute(
            f"SELECT {columns} FROM {_TABLE} WHERE id IN (SELECT value FROM json_each(%s))",  # noqa: S608
            [orjson.dumps(wanted).decode()],
        )
        return {
            row[0]: StoredMessage(row[0], row[1], row[2], row[3], _from_sqlite(row[4])) for row in cursor.fetchall()
        }


def read_numbers(first: int, last: int, status: MessageStatus) -> list[int]:
    """Numbers of the messages between `first` and `last` (inclusive) that are in `status`, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {_TABLE} WHERE id BETWEEN %s AND %s AND status = %s ORDER BY id",  # noqa: S608
            [first, last, int(status)],
        )
        return [row[0] for row in cursor.fetchall()]


def read_queued(first: int, last: int, limit: int) -> list[QueuedMessage]:
    """The first queued messages, at most `limit`, between `first` and `last` (inclusive), in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, phone_number, variables FROM {_TABLE} "  # noqa: S608
            "WHERE id BETWEEN %s AND %s AND status = %s ORDER BY id LIMIT %s",
            [first, last, int(MessageStatus.QUEUED), limit],
        )
        return [QueuedMessage(*row) for row in cursor.fetchall()]


def update_messages(changes: Sequence[MessageChange]) -> None:
    """Write every change in one statement (PostgreSQL) or one prepared statement (SQLite)."""
    if not changes:
        return
    with connection.cursor() as cursor:
        if _is_postgres():
            cursor.execute(
                f"UPDATE {_TABLE} m SET status = v.status, reason = v.reason, detail = v.detail, "  # noqa: S608
                "sent_at = v.sent_at, done_at = v.done_at "
                "FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::timestamptz[], "
                "%s::timestamptz[]) AS v(id, status, reason, detail, sent_at, done_at) WHERE m.id = v.id",
                [list(column) for column in zip(*changes, strict=True)],
            )
        else:
            cursor.executemany(
                f"UPDATE {_TABLE} SET status = %s, reason = %s, detail = %s, sent_at = %s, done_at = %s "  # noqa: S608
                "WHERE id = %s",
                [(c.status, c.reason, c.detail, _to_sqlite(c.sent_at), _to_sqlite(c.done_at), c.id) for c in changes],
            )


def move_tallies(table: type[Tally], deltas: Mapping[int, Mapping[str, int]]) -> None:
    """Add to the tallies of many batches, or campaigns, in one statement. `deltas`: by primary key, by status.

    The rows are locked by the caller, batches and campaigns each in id order.
    """
    moved = [status for status in COUNTED_STATUSES if any(delta.get(status) for delta in deltas.values())]
    if not moved:
        return
    name = table._meta.db_table
    rows = [(key, *(delta.get(status, 0) for status in moved)) for key, delta in sorted(deltas.items())]
    with connection.cursor() as cursor:
        if _is_postgres():
            sets = ", ".join(f"{status} = t.{status} + v.{status}" for status in moved)
            arrays = ", ".join(["%s::bigint[]"] + ["%s::integer[]"] * len(moved))
            cursor.execute(
                f"UPDATE {name} t SET {sets} FROM unnest({arrays}) AS v(id, {', '.join(moved)}) "  # noqa: S608
                "WHERE t.id = v.id",
                [list(column) for column in zip(*rows, strict=True)],
            )
        else:
            sets = ", ".join(f"{status} = {status} + %s" for status in moved)
            cursor.executemany(
                f"UPDATE {name} SET {sets} WHERE id = %s",  # noqa: S608
                [(*counts, key) for key, *counts in rows],
            )


def rest_batches(ids: Sequence[int]) -> None:
    """Set the state of those among these batches that nobody holds, from their tallies."""
    ready = BATCH.sources(BatchState.READY, Actor.TALLY)
    done = BATCH.sources(BatchState.DONE, Actor.TALLY)
    Batch.objects.filter(pk__in=ids, state__in=done, unknown__lte=0).update(
        state=Case(
            When(queued__lte=0, then=Value(BatchState.DONE)),
            When(state__in=ready, then=Value(BatchState.READY)),
            default=F("state"),
        )
    )


def share_running(campaign_id: int) -> bool:
    """Whether the campaign runs, and neither its account nor the whole installation is on hold. If so, none of that
    changes until this transaction ends.

    FOR KEY SHARE lets counters move beside us and conflicts with the FOR UPDATE that pause, cancel and hold take
    before they answer. What already says no is not shared, or a stream of us would keep that lock from them for
    ever. On SQLite our transaction already is the only writer.
    """
    statement = (
        "SELECT 1 FROM sms_campaigns c JOIN accounts_account a ON a.id = c.account_id CROSS JOIN settings s "
        "WHERE c.id = %s AND c.status = %s AND a.is_active AND s.key = %s AND s.value = ''"
    )
    if _is_postgres():
        statement += " FOR KEY SHARE OF c, a, s"
    values: list[int | str] = [campaign_id, CampaignStatus.RUNNING, hold.KEY]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        if cursor.fetchone():
            return True
        if hold.row_exists():
            return False
        hold.make_row()  # before the first attempt of this installation
        cursor.execute(statement, values)
        return cursor.fetchone() is not None


def _to_sqlite(moment: datetime | None) -> str | None:
    return connection.ops.adapt_datetimefield_value(moment) if moment else None


def _from_sqlite(moment: datetime | None) -> datetime | None:
    """SQLite keeps UTC without an offset."""
    return moment.replace(tzinfo=UTC) if moment else None
