"""What the messages of a batch have in common: for lists, which show it with each of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from messaging.message_text import RenderStored, stored_renderer
from messaging.models import Batch
from messaging.outcomes.message_prices import PAYS, price_of
from smsapp.database.among import keys_of
from smsapp.database.prepared_query import Compiled, Slot


class BatchFacts(NamedTuple):
    """`segment_price`: in millionths of `currency`; it counts only where the account pays by message. `text`: with its
    placeholders, which `columns` fill."""

    campaign_id: int
    account_id: int
    segment_price: int
    pays: bool
    currency: str
    bulk_id: str
    client_reference: str | None
    sender_id: str
    kind: str
    created_at: datetime
    text: str
    columns: Sequence[str]

    def renderer(self) -> RenderStored:
        """See `renderer_for`."""
        return stored_renderer(self.kind, self.text, self.columns, self.account_id)

    def price(self, status: int, segments: int, *, is_refused: bool) -> Decimal | None:
        """See `price_of`."""
        return price_of(status, segments, self.segment_price if self.pays else None, is_refused=is_refused)


_COLUMNS = (
    "campaign_id",
    "account_id",
    "price_micro",
    "pays",
    "account__currency",
    "campaign__bulk_id",
    "campaign__client_reference",
    "campaign__sender_id",
    "campaign__kind",
    "campaign__created_at",
    "campaign__message",
    "campaign__audience__columns",
)


_FACTS = Compiled(
    lambda: Batch.objects.filter(pk__among=Slot("batches")).annotate(pays=PAYS).values_list("pk", *_COLUMNS)
)


def facts_of(batch_ids: Collection[int]) -> dict[int, BatchFacts]:
    """Return the facts of batches by their keys. One query."""
    rows = _FACTS.rows(batches=keys_of(batch_ids, connection.vendor))
    return {pk: BatchFacts(*row) for pk, *row in rows}
