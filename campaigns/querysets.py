"""Queries on campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

from accounts.choices import Mode
from campaigns.choices import CAMPAIGN, Actor, CampaignStatus

if TYPE_CHECKING:
    from accounts.models import Account
    from campaigns import models as m  # noqa: F401  (named in the base class)


class CampaignQuerySet(models.QuerySet["m.Campaign"]):
    def for_account(self, account: Account, mode: str = Mode.LIVE) -> CampaignQuerySet:
        return self.filter(account=account, mode=mode)

    def due(self, now: datetime) -> CampaignQuerySet:
        return self.filter(status__in=CAMPAIGN.sources(CampaignStatus.RUNNING, Actor.CLOCK), scheduled_at__lte=now)

    def to_gather(self) -> CampaignQuerySet:
        """Return resends whose recipients are still being gathered."""
        return self.filter(status=CampaignStatus.DRAFT, resend_of__isnull=False)

    def to_expand(self, now: datetime) -> CampaignQuerySet:
        """Return running campaigns with chunks left that no process is expanding."""
        free = models.Q(expansion_lease_until__isnull=True) | models.Q(expansion_lease_until__lt=now)
        return self.filter(free, status=CampaignStatus.RUNNING, chunks_done__lt=models.F("chunk_count")).order_by(
            "chunks_done",
            "id",  # so that a small campaign does not wait for all of a large one
        )
