"""Removes rows that are old enough: slice after slice, the oldest first, until done or the budget is over.

Every slice is a short transaction of its own, so that no statement grows with a backlog and what is removed stays
removed. A task that has left something enqueues itself again after a pause, in which more urgent work gets its workers.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import QuerySet

from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue

SLICE = 1000  # rows in one transaction
SECONDS_AT_ONCE = 2.0
PAUSE = 2.0  # seconds until a task goes on with what it has left

Keys = Sequence[Any]


class Purged(NamedTuple):
    """How many rows are gone, and whether there are more that are old enough."""

    removed: int
    is_more: bool


def remove_oldest(old: QuerySet[Any], by: str, before: Callable[[Keys], object] | None = None) -> Purged:
    """Remove the rows of `old`, those with the lowest `by` first; an index must serve that order.

    `before` gets the keys of a slice in the slice's transaction, to remove what refers to the rows or to report them. A
    row that is no longer old when its slice is removed stays.
    """
    budget = Budget(SECONDS_AT_ONCE)
    oldest = old.order_by(by).values_list("pk", flat=True)
    count = 0
    while keys := list(oldest[:SLICE]):
        with transaction.atomic():
            if before is not None:
                before(keys)
            count += old.filter(pk__in=keys)._raw_delete(old.db)
        if len(keys) < SLICE or budget.is_over:
            return Purged(count, len(keys) == SLICE)
    return Purged(count, is_more=False)


def go_on(task: str, purged: Purged) -> int:
    """Enqueue the task again if it has left something. Return how many rows it removed."""
    if purged.is_more:
        enqueue(task, after=PAUSE)
    return purged.removed
