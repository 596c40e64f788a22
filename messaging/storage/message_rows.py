"""Set-based SQL of messages, the same for PostgreSQL and SQLite.

Callers hold the lock of the batch whose messages they touch (see `settlement.py`). Nothing here opens a transaction of
its own.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from django.db import connection

from accounts.security import sending_hold
from campaigns.choices import CampaignStatus
from messaging.choices import MESSAGE, FactSource, MessageStatus, Reason
from messaging.ids import batch_of
from messaging.models import Message
from messaging.storage.dialect import (
    ARRAY,
    ARRAY_ON_SQLITE,
    array,
    array_of_moments,
    copy_into,
    copy_text,
    is_postgres,
    moment_value,
    to_sqlite,
)

_TABLE = Message._meta.db_table
FEW = 8  # new messages up to which one INSERT costs less than the three exchanges of a COPY
_MIN_ALIKE = 20  # changes that are worth a statement of their own
_DENSE = 3  # a range is read when at least a third of it is wanted
_MOST_RANGES = 100  # ranges in one condition: for thousands PostgreSQL compiles a program, which takes minutes


class Failure(NamedTuple):
    """Why a message will not be sent. `detail`: what the reason names."""

    reason: Reason
    detail: str = ""


class NewMessages(NamedTuple):
    """The messages of a new batch as expansion stores them, in columns of equal length.

    `variables`: JSON arrays in UTF-8, or empty. `failures`: those that failed already, by their index in the columns;
    all others are queued. `price_micro`: of one segment of each, in millionths.
    """

    rows: Sequence[int]
    phones: Sequence[str]
    variables: Sequence[bytes]
    segment_counts: Sequence[int]
    failures: Mapping[int, Failure]
    price_micro: int = 0


class StoredMessage(NamedTuple):
    """What `apply` needs to know about a row."""

    id: int
    status: int
    segment_count: int
    was_taken: bool  # by the provider, at any time
    reason: str


class QueuedMessage(NamedTuple):
    """What a call needs to know about a row."""

    id: int
    phone_number: str
    variables: str


class MessageChange(NamedTuple):
    """The new state of a row. `sent_at` is written once: a row that has it keeps it."""

    id: int
    status: int
    reason: str
    detail: str
    sent_at: datetime | None
    done_at: datetime | None


def insert_messages(campaign_id: int, batches: Mapping[int, NewMessages]) -> None:
    """Store the messages of a campaign's new batches, by the key of the first message of each."""
    columns = "id, campaign_id, row, phone_number, variables, status, reason, detail, segment_count"
    count = sum(len(new.rows) for new in batches.values())
    if is_postgres() and count > FEW:
        lines = [line for first, new in batches.items() for line in _message_lines(campaign_id, first, new)]
        copy_into(_TABLE, columns, b"".join(lines))
        return
    marks = ", ".join(["%s"] * (columns.count(",") + 1))
    records = [record for first, new in batches.items() for record in _message_records(campaign_id, first, new)]
    with connection.cursor() as cursor:
        if count > FEW:
            cursor.executemany(f"INSERT INTO {_TABLE} ({columns}) VALUES ({marks})", records)
        else:
            rows = ", ".join([f"({marks})"] * count)
            cursor.execute(f"INSERT INTO {_TABLE} ({columns}) VALUES {rows}", list(chain.from_iterable(records)))


def _message_lines(campaign_id: int, first: int, new: NewMessages) -> list[bytes]:
    """Return lines for COPY, whose text format treats a backslash in JSON as its own."""
    phones = [phone.encode() for phone in new.phones]
    variables = [values.replace(b"\\", b"\\\\") for values in new.variables]
    queued = f"%d\t{campaign_id}\t%d\t%b\t%b\t{MessageStatus.QUEUED:d}\t\t\t%d\n".encode()
    columns = zip(range(first, first + len(phones)), new.rows, phones, variables, new.segment_counts, strict=True)
    lines = [queued % values for values in columns]
    failed = f"%d\t{campaign_id}\t%d\t%b\t%b\t{MessageStatus.FAILED:d}\t%b\t%b\t0\n".encode()
    for n, (reason, detail) in new.failures.items():
        why = reason.value.encode(), copy_text(detail).encode()
        lines[n] = failed % (first + n, new.rows[n], phones[n], variables[n], *why)
    return lines


def _message_records(campaign_id: int, first: int, new: NewMessages) -> list[tuple[Any, ...]]:
    variables = [values.decode() for values in new.variables]
    columns = zip(
        range(first, first + len(variables)), new.rows, new.phones, variables, new.segment_counts, strict=True
    )
    queued, failed = MessageStatus.QUEUED.value, MessageStatus.FAILED.value
    records = [(id_, campaign_id, row, to, values, queued, "", "", count) for id_, row, to, values, count in columns]
    for n, (reason, detail) in new.failures.items():
        records[n] = (*records[n][:5], failed, reason.value, detail, 0)
    return records


def read_messages(message_pks: Collection[int]) -> dict[int, StoredMessage]:
    """Return the existing rows with these keys, by key."""
    if not message_pks:
        return {}
    columns, span = "id, status, segment_count, sent_at IS NOT NULL, reason", _span(message_pks)
    with connection.cursor() as cursor:
        if span:  # with a few unwanted ones between them
            statement = f"SELECT {columns} FROM {_TABLE} WHERE id BETWEEN %s AND %s"
            cursor.execute(statement, span)
        elif is_postgres():
            cursor.execute(f"SELECT {columns} FROM {_TABLE} WHERE id = ANY(%s::bigint[])", [array(message_pks)])
        else:
            statement = f"SELECT {columns} FROM {_TABLE} WHERE id IN (SELECT value FROM json_each(%s))"
            cursor.execute(statement, [array(message_pks)])
        wanted = set(message_pks)
        return {row[0]: StoredMessage(*row) for row in cursor.fetchall() if row[0] in wanted}


def read_message_pks(first: int, last: int, status: MessageStatus) -> list[int]:
    """Return the keys of messages in `status` between `first` and `last` (inclusive), in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {_TABLE} WHERE id BETWEEN %s AND %s AND status = %s ORDER BY id",
            [first, last, int(status)],
        )
        return [row[0] for row in cursor.fetchall()]


def read_queued(first: int, last: int, limit: int) -> list[QueuedMessage]:
    """Return the first queued messages, at most `limit`, between `first` and `last` (inclusive), in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, phone_number, variables FROM {_TABLE} "
            "WHERE id BETWEEN %s AND %s AND status = %s ORDER BY id LIMIT %s",
            [first, last, int(MessageStatus.QUEUED), limit],
        )
        return [QueuedMessage(*row) for row in cursor.fetchall()]


def mark_sent(message_pks: Collection[int], sent_at: datetime) -> dict[int, int]:
    """Set messages that are still `queued` to `sent`. Return their segments by key."""
    assert MESSAGE.may(MessageStatus.QUEUED, MessageStatus.SENT, FactSource.ANSWER)
    among, values = _among(message_pks)
    statement = (
        f"UPDATE {_TABLE} SET status = %s, reason = '', detail = '', sent_at = %s "
        f"WHERE status = %s AND {among} RETURNING id, segment_count"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement, [MessageStatus.SENT.value, moment_value(sent_at), MessageStatus.QUEUED.value, *values]
        )
        return dict(cursor.fetchall())


def _among(message_pks: Collection[int]) -> tuple[str, list[Any]]:
    """Return a condition that exactly these keys meet, with its values.

    Nearly whole batches become ranges without some keys, which cost the server a third of looking each key up.
    """
    spans: dict[int, list[int]] = {}
    for message_pk in sorted(message_pks):
        spans.setdefault(batch_of(message_pk), []).append(message_pk)
    wanted, left_out = set(message_pks), []
    for span in spans.values():
        left_out += [message_pk for message_pk in range(span[0], span[-1]) if message_pk not in wanted]
    if len(spans) > _MOST_RANGES or len(left_out) * _DENSE > len(wanted):
        return (f"id = ANY({ARRAY})" if is_postgres() else f"id IN {ARRAY_ON_SQLITE}"), [array(message_pks)]
    condition = " OR ".join(["id BETWEEN %s AND %s"] * len(spans))
    values: list[Any] = [end for span in spans.values() for end in (span[0], span[-1])]
    if left_out:
        condition = f"({condition}) AND " + (f"id <> ALL({ARRAY})" if is_postgres() else f"id NOT IN {ARRAY_ON_SQLITE}")
        values.append(array(left_out))
    return f"({condition})", values


def update_messages(changes: Sequence[MessageChange]) -> None:
    """Write every change. Most differ only in key and `done_at`: those travel as two columns."""
    if not is_postgres():
        _update_one_by_one(changes)
        return
    alike: dict[tuple[object, ...], list[MessageChange]] = {}
    for change in changes:
        alike.setdefault(change[1:5], []).append(change)
    rest: list[MessageChange] = []
    for group in alike.values():
        if len(group) >= _MIN_ALIKE:
            _update_alike(group)
        else:
            rest += group
    if rest:
        _update_unlike(rest)


def _update_alike(changes: Sequence[MessageChange]) -> None:
    """Write changes that differ only in key and `done_at`. A range costs a third of as many single look-ups."""
    message_pks = sorted(change.id for change in changes)
    moments = {change.done_at for change in changes}
    span = _span(message_pks)
    values: list[Any] = [*changes[0][1:5]]
    sets = "status = %s, reason = %s, detail = %s, sent_at = COALESCE(sent_at, %s)"
    is_whole = span is not None and len(message_pks) == span[1] - span[0] + 1
    if len(moments) > 1 or (span and not is_whole):
        statement = (
            f"UPDATE {_TABLE} m SET {sets}, done_at = v.done_at "
            "FROM unnest(%s::bigint[], %s::timestamptz[]) AS v(id, done_at) WHERE m.id = v.id"
        )
        values += [array(change.id for change in changes), array_of_moments(change.done_at for change in changes)]
        if span:
            statement, values = f"{statement} AND m.id BETWEEN %s AND %s", [*values, *span]
    else:
        statement, values = f"UPDATE {_TABLE} SET {sets}, done_at = %s WHERE ", [*values, *moments]
        if span:
            statement, values = f"{statement} id BETWEEN %s AND %s", [*values, *span]
        else:
            statement, values = f"{statement} id = ANY(%s::bigint[])", [*values, array(message_pks)]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _update_unlike(changes: Sequence[MessageChange]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {_TABLE} m SET status = v.status, reason = v.reason, detail = v.detail, "
            "sent_at = COALESCE(m.sent_at, v.sent_at), done_at = v.done_at "
            "FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::timestamptz[], "
            "%s::timestamptz[]) AS v(id, status, reason, detail, sent_at, done_at) WHERE m.id = v.id",
            [
                array(change.id for change in changes),
                array(change.status for change in changes),
                [change.reason for change in changes],
                [change.detail for change in changes],
                array_of_moments(change.sent_at for change in changes),
                array_of_moments(change.done_at for change in changes),
            ],
        )


def _update_one_by_one(changes: Sequence[MessageChange]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {_TABLE} SET status = %s, reason = %s, detail = %s, "
            "sent_at = COALESCE(sent_at, %s), done_at = %s WHERE id = %s",
            [(c.status, c.reason, c.detail, to_sqlite(c.sent_at), to_sqlite(c.done_at), c.id) for c in changes],
        )


def share_running(campaign_id: int) -> bool:
    """Return whether the campaign runs, and neither its account is suspended nor sending held.

    If so, none of that changes until this transaction ends. FOR KEY SHARE lets counters move beside us and conflicts
    with the FOR UPDATE that pause, cancel and suspension take before they answer. A row that says no already is not
    shared, or a stream of us would keep that lock from them for ever. On SQLite our transaction is the only writer
    anyway.
    """
    statement = (
        "SELECT 1 FROM sms_campaigns c JOIN accounts_account a ON a.id = c.account_id CROSS JOIN settings s "
        "WHERE c.id = %s AND c.status = %s AND a.is_active AND s.key = %s AND s.value = ''"
    )
    if is_postgres():
        statement += " FOR KEY SHARE OF c, a, s"
    values: list[int | str] = [campaign_id, CampaignStatus.RUNNING, sending_hold.KEY]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        if cursor.fetchone():
            return True
        if sending_hold.HOLD.has_row():
            return False
        sending_hold.HOLD.make_row()  # before the first attempt of this installation
        cursor.execute(statement, values)
        return cursor.fetchone() is not None


def _span(message_pks: Collection[int]) -> tuple[int, int] | None:
    """Return the lowest and the highest key if they fill so much of the range that reading all of it is cheaper."""
    first, last = min(message_pks), max(message_pks)
    return (first, last) if len(message_pks) * _DENSE > last - first else None
