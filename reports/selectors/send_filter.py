from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q


@dataclass(frozen=True, slots=True)
class SendFilter:
    """Which sends the messages and reports of a list belong to. None and empty strings filter nothing.

    Times say when the send, or the draft of it, was made: from `created_after` to before `created_before`.
    """

    bulk_id: str = ""
    client_reference: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def condition(self) -> Q:
        """For rows that have a `campaign`."""
        wanted = Q()
        if self.bulk_id:
            wanted &= Q(campaign__bulk_id=self.bulk_id)
        if self.client_reference:
            wanted &= Q(campaign__client_reference=self.client_reference)
        if self.created_after is not None:
            wanted &= Q(campaign__created_at__gte=self.created_after)
        if self.created_before is not None:
            wanted &= Q(campaign__created_at__lt=self.created_before)
        return wanted


ALL_SENDS = SendFilter()
