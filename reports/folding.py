"""Statistics are folded from the changes that the pipeline noted: each is counted exactly once.

In one transaction some thousand changes are taken, added up by account, mode and day of their batch, added to the
days' rows and removed. A process that is killed in the middle has done nothing. Any number may fold at once: a change
that another has taken is passed over, and days are added to in the order of their keys, so that nobody deadlocks.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, date
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from campaigns.tally import COUNTED_STATUSES
from messaging.models import Batch, StatDelta
from reports.models import DailyStat

logger = logging.getLogger(__name__)

#: SQLite's other writers wait meanwhile; and each change may be of another day, whose row takes 15 of the 32,766
#: parameters that SQLite allows at least.
ROWS_AT_ONCE = 2000
FIGURES = (*COUNTED_STATUSES, "segments")


class Cohort(NamedTuple):
    """What one row of the statistics is about."""

    account_id: int
    mode: str
    day: date


def fold() -> int:
    """Fold until no change is left or the task's time is over; how many changes."""
    stop_at = time.monotonic() + settings.TASK_BUDGET
    folded = 0
    while taken := _fold_some():
        folded += taken
        if taken < ROWS_AT_ONCE or time.monotonic() >= stop_at:
            break
    return folded


def _fold_some() -> int:
    with transaction.atomic():
        rows = StatDelta.objects.order_by("pk").select_for_update(skip_locked=True)
        deltas = list(rows.values_list("pk", "batch_id", *FIGURES)[:ROWS_AT_ONCE])
        if deltas:
            _add(_summed(deltas))
            StatDelta.objects.filter(pk__in=[pk for pk, *_ in deltas]).delete()
    return len(deltas)


def _summed(deltas: Iterable[tuple[Any, ...]]) -> dict[Cohort, list[int]]:
    """The changes (id, batch, figures …) added up by cohort."""
    by_batch: dict[int, list[int]] = {}
    for _, batch_id, *figures in deltas:
        _add_to(by_batch, batch_id, figures)
    sums: dict[Cohort, list[int]] = {}
    batches = Batch.objects.filter(pk__in=by_batch).values_list("pk", "account_id", "mode", "created_at")
    for batch_id, account_id, mode, created_at in batches:
        _add_to(sums, Cohort(account_id, mode, created_at.astimezone(UTC).date()), by_batch.pop(batch_id))
    _report_lost(by_batch)
    return sums


def _add_to(sums: dict[Any, list[int]], key: object, figures: list[int]) -> None:
    known = sums.get(key)
    sums[key] = [a + b for a, b in zip(known, figures, strict=True)] if known else figures


def _report_lost(by_batch: Mapping[int, list[int]]) -> None:
    """Nobody knows any more whose changes these are: whoever removes batches folds first."""
    for batch_id, figures in by_batch.items():
        changes = {name: figure for name, figure in zip(FIGURES, figures, strict=True) if figure}
        logger.error("batch %s is gone, its last changes are in no statistics: %s", batch_id, changes)


def _add(sums: Mapping[Cohort, list[int]]) -> None:
    """Add to the rows of these cohorts, in one statement; rows that do not exist are made."""
    if not sums:
        return
    table = DailyStat._meta.db_table
    columns = ", ".join((*Cohort._fields, *FIGURES))
    marks = f"({', '.join(['%s'] * (len(Cohort._fields) + len(FIGURES)))})"
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in FIGURES)
    values = [value for cohort, figures in sorted(sums.items()) for value in (*_stored(cohort), *figures)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) VALUES {', '.join([marks] * len(sums))} "  # noqa: S608
            f"ON CONFLICT ({', '.join(Cohort._fields)}) DO UPDATE SET {added}",
            values,
        )


def _stored(cohort: Cohort) -> tuple[Any, ...]:
    return (*cohort[:2], connection.ops.adapt_datefield_value(cohort.day))
