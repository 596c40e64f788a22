"""Set-based SQL of the counters, the same for PostgreSQL and SQLite.

These are the tallies of batches and campaigns, the statistics' record of each change, and the state of a batch that
follows from its tally. Callers hold the locks of the rows whose counters they move (see `settlement.py`).
"""

from collections.abc import Mapping, Sequence

from django.db import connection
from django.db.models import Case, F, Value, When

from campaigns.choices import CAMPAIGN, CampaignStatus
from campaigns.choices import Actor as CampaignActor
from campaigns.models import Campaign
from campaigns.models.tally import COUNTED_STATUSES, Tally
from messaging.choices import BATCH, Actor, BatchState
from messaging.models import Batch, StatDelta
from messaging.storage.dialect import array, is_postgres


def move_batches(deltas: Mapping[int, Mapping[str, int]], segments: Mapping[int, int]) -> None:
    """Add to the tallies of batches in one statement.

    `deltas`: by primary key, by status. `segments` that a provider accepted: by primary key. The caller has locked the
    rows, in id order.
    """
    whole = {key: {**delta, "segments": segments.get(key, 0)} for key, delta in deltas.items()}
    _move_tallies(Batch, whole, "FALSE", (*COUNTED_STATUSES, "segments"))


def move_campaigns(deltas: Mapping[int, Mapping[str, int]]) -> list[int]:
    """Add to the tallies of campaigns. Return those that may now be completed or closed.

    The caller has locked the rows if there are several.
    """
    running = ", ".join(f"'{status}'" for status in CAMPAIGN.sources(CampaignStatus.COMPLETED, CampaignActor.PIPELINE))
    # Not `completed_at IS NULL`: behind RETURNING, SQLite 3.40 says of every column that it is not.
    return _move_tallies(Campaign, deltas, f"queued <= 0 AND unknown <= 0 AND (sent <= 0 OR status IN ({running}))")


def _move_tallies(
    table: type[Tally],
    deltas: Mapping[int, Mapping[str, int]],
    condition: str,
    counted: Sequence[str] = COUNTED_STATUSES,
) -> list[int]:
    """Add to tallies. Return the keys of the rows that meet the condition afterwards."""
    moved = [status for status in counted if any(delta.get(status) for delta in deltas.values())]
    if not moved:
        return []
    name = table._meta.db_table
    rows = [(key, *(delta.get(status, 0) for status in moved)) for key, delta in sorted(deltas.items())]
    sets = ", ".join(f"{status} = {status} + %s" for status in moved)
    with connection.cursor() as cursor:
        if is_postgres() and len(rows) > 1:
            columns, marks = ", ".join(f"more_{status}" for status in moved), ", ".join(["%s::bigint[]"] * len(rows[0]))
            sets = ", ".join(f"{status} = {status} + more_{status}" for status in moved)
            cursor.execute(
                f"UPDATE {name} SET {sets} FROM unnest({marks}) AS v(key, {columns}) "
                f"WHERE id = v.key RETURNING id, {condition}",
                [array(column) for column in zip(*rows, strict=True)],
            )
            return [key for key, meets_it in cursor.fetchall() if meets_it]
        found = []
        for key, *counts in rows:
            cursor.execute(f"UPDATE {name} SET {sets} WHERE id = %s RETURNING id, {condition}", [*counts, key])
            found += [key for key, meets_it in cursor.fetchall() if meets_it]
        return found


def charge_campaigns(rows: Sequence[tuple[int, int, int]]) -> None:
    """Add to what campaigns are charged and take from what they hold.

    Rows: primary key, amount, and the part of it that was reserved, in millionths. The caller has locked the campaigns.
    """
    if not rows:
        return
    table = Campaign._meta.db_table
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(
                f"UPDATE {table} SET charged_micro = charged_micro + v.amount, "
                "reserved_micro = reserved_micro - v.reserved "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS v(key, amount, reserved) WHERE id = v.key",
                [array(column) for column in zip(*rows, strict=True)],
            )
        else:
            cursor.executemany(
                f"UPDATE {table} SET charged_micro = charged_micro + %s, reserved_micro = reserved_micro - %s "
                "WHERE id = %s",
                [(amount, reserved, key) for key, amount, reserved in rows],
            )


def insert_deltas(rows: Sequence[tuple[int, int, Mapping[str, int]]]) -> None:
    """Insert rows of StatDelta: batch, segments, signed changes by status."""
    columns = ("batch_id", "segments", *COUNTED_STATUSES)
    values = [
        (batch_id, segments, *(tally.get(status, 0) for status in COUNTED_STATUSES))
        for batch_id, segments, tally in rows
    ]
    if not values:
        return
    start, marks = f"INSERT INTO {StatDelta._meta.db_table} ({', '.join(columns)})", ["%s"] * len(columns)
    with connection.cursor() as cursor:
        if is_postgres():
            arrays = [array(column) for column in zip(*values, strict=True)]
            cursor.execute(f"{start} SELECT * FROM unnest({'::bigint[], '.join(marks)}::bigint[])", arrays)
        else:
            cursor.executemany(f"{start} VALUES ({', '.join(marks)})", values)


def rest_batches(ids: Sequence[int]) -> None:
    """Set the state of unleased batches from their tallies: `settlement.resting_state` in one statement.

    A deferred batch with queued messages stays deferred.
    """
    if not ids:
        return
    unheld = BATCH.sources(BatchState.DONE, Actor.TALLY)
    to_ready = BATCH.sources(BatchState.READY, Actor.TALLY)
    Batch.objects.filter(pk__among=ids, state__in=unheld).update(
        state=Case(
            When(queued__gt=0, state__in=to_ready, then=Value(BatchState.READY)),
            When(queued__gt=0, then=F("state")),
            When(unknown__gt=0, then=Value(BatchState.UNKNOWN)),
            default=Value(BatchState.DONE),
        )
    )
