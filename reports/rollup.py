"""Statistics are folded from the changes that the pipeline noted: each is counted exactly once.

In one transaction some thousand changes are taken, added up by account, mode and day of their batch, its sender and its
gateway, added to the days' rows and removed. A process that is killed in the middle has done nothing. Any number may
fold at once: a change that another has taken is passed over, and days are added to in the order of their keys, so that
nobody deadlocks.

The changes of a batch that is new add up to its size, all later ones to nothing: that is when its countries are
counted, by the first digits that its chunk of recipients keeps.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import OuterRef, Subquery

from campaigns.models.tally import COUNTED_STATUSES
from messaging.models import Batch, StatDelta
from reports.models import DailyCountry, DailyStat
from smsapp.core.budget import Budget
from smsapp.lib.phone import country_of_beginning
from uploads.models import AudienceChunk

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 2000  # SQLite's other writers wait meanwhile
PARAMETERS = 32_000  # of one statement; SQLite allows 32,766 at least
NOTED = (*COUNTED_STATUSES, "segments")
FIGURES = (*NOTED, "spent_micro")
_CHUNKS = AudienceChunk.objects.filter(audience=OuterRef("campaign__audience"), number=OuterRef("chunk"))


class Cohort(NamedTuple):
    """What one row of the statistics is about."""

    account_id: int
    mode: str
    day: date
    sender_id: str
    gateway: str


class StatKey(NamedTuple):
    """What one row of the countries is about."""

    account_id: int
    mode: str
    day: date
    country: str


def fold() -> int:
    """Fold until no change is left or the task's time is over; how many changes."""
    budget = Budget(settings.TASK_BUDGET)
    folded = 0
    while taken := _fold_some():
        folded += taken
        if taken < ROWS_AT_ONCE or budget.is_over:
            break
    return folded


def _fold_some() -> int:
    with transaction.atomic():
        rows = StatDelta.objects.order_by("pk").select_for_update(skip_locked=True)
        deltas = list(rows.values_list("pk", "batch_id", *NOTED)[:ROWS_AT_ONCE])
        if deltas:
            by_batch: dict[int, list[int]] = {}
            for _, batch_id, *figures in deltas:
                _add_to(by_batch, batch_id, figures)
            new = [batch_id for batch_id, figures in by_batch.items() if sum(figures[: len(COUNTED_STATUSES)])]
            _add(DailyStat, FIGURES, _summed(by_batch))
            _add(DailyCountry, ("messages",), _by_country(new))
            StatDelta.objects.filter(pk__in=[pk for pk, *_ in deltas]).delete()
    return len(deltas)


def _summed(by_batch: dict[int, list[int]]) -> dict[Cohort, list[int]]:
    """The changes (NOTED) of batches added up by cohort, with what they cost."""
    sums: dict[Cohort, list[int]] = {}
    batches = Batch.objects.filter(pk__in=by_batch).values_list(
        "pk", "account_id", "mode", "created_at", "campaign__sender_id", "gateway", "price_micro"
    )
    left = dict(by_batch)
    for batch_id, account_id, mode, created_at, sender, gateway, price in batches:
        figures = left.pop(batch_id)
        cohort = Cohort(account_id, mode, created_at.astimezone(UTC).date(), sender, gateway)
        _add_to(sums, cohort, [*figures, figures[-1] * price])
    _report_lost(left)
    return sums


def _by_country(new: Collection[int]) -> dict[StatKey, list[int]]:
    """The messages of new batches by country. A chunk's batches are made together, so the first speaks for all."""
    if not new:
        return {}
    counted: Counter[StatKey] = Counter()
    batches = Batch.objects.filter(pk__in=new, part=0).values_list(
        "account_id", "mode", "created_at", Subquery(_CHUNKS.values("prefix_counts")[:1])
    )
    for account_id, mode, created_at, prefixes in batches:
        day = created_at.astimezone(UTC).date()
        for prefix, count in (prefixes or {}).items():
            counted[StatKey(account_id, mode, day, country_of_beginning(prefix))] += count
    return {key: [count] for key, count in counted.items()}


def _add_to(sums: dict[Any, list[int]], key: object, figures: list[int]) -> None:
    known = sums.get(key)
    sums[key] = [a + b for a, b in zip(known, figures, strict=True)] if known else figures


def _report_lost(by_batch: Mapping[int, list[int]]) -> None:
    """Nobody knows any more whose changes these are: whoever removes batches folds first."""
    for batch_id, figures in by_batch.items():
        changes = {name: figure for name, figure in zip(NOTED, figures, strict=True) if figure}
        logger.error("batch %s is gone, its last changes are in no statistics: %s", batch_id, changes)


def _add(model: type[models.Model], names: Collection[str], sums: Mapping[Any, list[int]]) -> None:
    """Add figures of these names to the rows of these keys, in their order; rows that do not exist are made."""
    if not sums:
        return
    table, keys = model._meta.db_table, next(iter(sums))._fields
    columns = (*keys, *names)
    marks = f"({', '.join(['%s'] * len(columns))})"
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)
    rows = [(*_stored(key), *figures) for key, figures in sorted(sums.items())]
    step = PARAMETERS // len(columns)
    with connection.cursor() as cursor:
        for part in (rows[start : start + step] for start in range(0, len(rows), step)):
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([marks] * len(part))} "  # noqa: S608
                f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}",
                [value for row in part for value in row],
            )


def _stored(key: tuple[Any, ...]) -> Iterable[Any]:
    return (connection.ops.adapt_datefield_value(part) if isinstance(part, date) else part for part in key)
