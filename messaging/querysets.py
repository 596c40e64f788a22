"""Queries on batches, messages and attempts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models, transaction

from accounts.choices import Mode
from campaigns.choices import CampaignStatus
from messaging.choices import AttemptState, BatchState
from messaging.ids import batch_range

if TYPE_CHECKING:
    from accounts.models import Account
    from messaging import models as m  # noqa: F401  (named in the base class)


AT_ONCE = 2000  # batches in one transaction
MOST_SLICES = 10

#: Batches whose campaign and account may send.
MAY_SEND = models.Q(campaign__status=CampaignStatus.RUNNING, account__is_active=True, waits_for_canary=False)


def each_value(rows: models.QuerySet[Any], column: str) -> Iterator[Any]:
    """Yield each value of a column that leads an index of these rows: one step in the index per value."""
    values = rows.order_by(column).values_list(column, flat=True)
    value = values.first()
    while value is not None:
        yield value
        value = values.filter(**{f"{column}__gt": value}).first()


class BatchQuerySet(models.QuerySet["m.Batch"]):
    def to_lease(self, lane: int, now: datetime) -> BatchQuerySet:
        """Return ready batches of running campaigns that are due, in their accounts' turns."""
        waiting = self.filter(MAY_SEND, state=BatchState.READY, lane=lane, next_attempt_at__lte=now)
        return waiting.order_by("lane", "turn", "id")

    def update_unlocked(self, **values: object) -> int:
        """Update those of these that nobody has locked, so that they are none of these any more; how many.

        In slices, and no more than MOST_SLICES of them: a sweep goes on with the others. Nothing is waited for, so the
        order of locks does not matter, and none is asked for: with ORDER BY id, PostgreSQL would rather walk all
        finished batches by their key than those that wait.
        """
        updated = 0
        for _ in range(MOST_SLICES):
            with transaction.atomic():
                rows = self.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)
                found = list(rows[:AT_ONCE])
                updated += self.model._base_manager.filter(pk__in=found).update(**values)
            if len(found) < AT_ONCE:
                break
        return updated

    def overdue_leases(self, now: datetime) -> BatchQuerySet:
        return self.filter(state=BatchState.LEASED, lease_until__lt=now).order_by("lease_until")


class MessageQuerySet(models.QuerySet["m.Message"]):
    def for_account(self, account: Account, mode: str = Mode.LIVE) -> MessageQuerySet:
        return self.filter(campaign__account=account, campaign__mode=mode)

    def in_batch(self, batch_id: int) -> MessageQuerySet:
        return self.filter(id__range=batch_range(batch_id))


class AttemptQuerySet(models.QuerySet["m.Attempt"]):
    def overdue(self, now: datetime) -> AttemptQuerySet:
        return self.filter(state=AttemptState.OPEN, deadline__lt=now).order_by("deadline")

    def to_look_up(self, gateway: str, now: datetime) -> AttemptQuerySet:
        unknown = self.filter(gateway=gateway, state=AttemptState.UNKNOWN)
        return unknown.filter(next_lookup_at__lte=now).order_by("next_lookup_at")
