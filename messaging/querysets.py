"""Questions about batches, messages and attempts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

from accounts.choices import Mode
from campaigns.choices import CampaignStatus
from messaging.choices import AttemptState, BatchState
from messaging.identity import batch_range

if TYPE_CHECKING:
    from accounts.models import Account
    from messaging import models as m  # noqa: F401  (named in the base class)


#: Of batches: nothing stops them, their campaign or their account as a whole.
MAY_SEND = models.Q(campaign__status=CampaignStatus.RUNNING, account__is_active=True, waits_for_canary=False)


class BatchQuerySet(models.QuerySet["m.Batch"]):
    def to_lease(self, lane: int, now: datetime) -> BatchQuerySet:
        """Ready batches of running campaigns whose time has come, in their accounts' turns."""
        waiting = self.filter(MAY_SEND, state=BatchState.READY, lane=lane, next_attempt_at__lte=now)
        return waiting.order_by("lane", "turn", "id")

    def overdue_leases(self, now: datetime) -> BatchQuerySet:
        return self.filter(state=BatchState.LEASED, lease_until__lt=now).order_by("id")


class MessageQuerySet(models.QuerySet["m.Message"]):
    def for_account(self, account: Account, mode: str = Mode.LIVE) -> MessageQuerySet:
        return self.filter(campaign__account=account, campaign__mode=mode)

    def in_batch(self, batch_id: int) -> MessageQuerySet:
        return self.filter(id__range=batch_range(batch_id))


class AttemptQuerySet(models.QuerySet["m.Attempt"]):
    def overdue(self, now: datetime) -> AttemptQuerySet:
        return self.filter(state=AttemptState.OPEN, deadline__lt=now).order_by("id")

    def to_look_up(self, now: datetime) -> AttemptQuerySet:
        return self.filter(state=AttemptState.UNKNOWN, next_lookup_at__lte=now).order_by("next_lookup_at")
