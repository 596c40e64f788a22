"""Messages counted by status: the same columns on a campaign and on each of its batches."""

from collections.abc import Mapping

from django.db import models

#: One column per message status, under the status's own name.
COUNTED_STATUSES = (
    "queued",
    "sent",
    "delivered",
    "undelivered",
    "rejected",
    "failed",
    "expired",
    "cancelled",
    "suppressed",
    "unknown",
    "unconfirmed",
)


class Tally(models.Model):
    """Counters, changed only by the transaction that changes the messages and never counted from rows."""

    queued = models.IntegerField(default=0)
    sent = models.IntegerField(default=0)
    delivered = models.IntegerField(default=0)
    undelivered = models.IntegerField(default=0)
    rejected = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    expired = models.IntegerField(default=0)
    cancelled = models.IntegerField(default=0)
    suppressed = models.IntegerField(default=0)
    unknown = models.IntegerField(default=0)
    unconfirmed = models.IntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def tally(self) -> dict[str, int]:
        return {status: getattr(self, status) for status in COUNTED_STATUSES}

    @property
    def messages_by_status(self) -> dict[str, int]:
        return by_status(self.tally)


def by_status(tally: Mapping[str, int]) -> dict[str, int]:
    """Name the counters as the API and webhooks do, where `queued` is PENDING."""
    return {"pending" if status == "queued" else status: tally[status] for status in COUNTED_STATUSES}
