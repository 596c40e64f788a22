"""Queries on uploads."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models

from uploads.choices import UploadStatus

if TYPE_CHECKING:
    from accounts.models import Account
    from uploads import models as m  # noqa: F401  (named in the base class)


class UploadQuerySet(models.QuerySet["m.Upload"]):
    def for_account(self, account: Account) -> UploadQuerySet:
        return self.filter(account=account)

    def waiting(self, now: datetime) -> UploadQuerySet:
        """Return uploads that nobody reads now: new ones, and those whose reader has overstayed its lease."""
        return self.filter(
            models.Q(status=UploadStatus.UPLOADED) | models.Q(status=UploadStatus.PROCESSING, lease_until__lt=now)
        ).order_by("id")

    def with_file_to_remove(self, now: datetime, keep: timedelta) -> UploadQuerySet:
        return self.filter(
            status__in=(UploadStatus.READY, UploadStatus.FAILED, UploadStatus.RETIRED),
            file_removed_at__isnull=True,
            processed_at__lt=now - keep,
        )
