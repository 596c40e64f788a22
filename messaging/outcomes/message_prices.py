"""What messages cost their account: its price for each segment, once a provider has accepted the message.

What a provider charges the operator is not part of this: see `DeliveryReport.price`.
"""

from collections.abc import Collection, Iterable
from decimal import Decimal

from django.db.models import BooleanField, ExpressionWrapper, Q

from accounts.billing.credit import amount_of
from messaging.choices import ACCEPTED, FactSource, MessageStatus
from messaging.models import Batch, DeliveryReport, Message

#: It is not known yet whether a provider accepts the message.
UNDECIDED = (MessageStatus.QUEUED, MessageStatus.UNKNOWN)

PAYS = ExpressionWrapper(Q(campaign__prices__isnull=False), output_field=BooleanField())


def is_charged(status: int, is_refused: bool) -> bool:
    """Return whether the account pays. `is_refused`: by the provider, after it had accepted the message."""
    return status in ACCEPTED and not (is_refused and status == MessageStatus.UNDELIVERED)


def price_of(status: int, segments: int, segment_price: int | None, *, is_refused: bool = False) -> Decimal | None:
    """Return what a message of this status costs; None: not decided, or the account does not pay by message.

    `segment_price`: in millionths, see `segment_prices`.
    """
    if segment_price is None or status in UNDECIDED:
        return None
    return amount_of(segments * segment_price if is_charged(status, is_refused) else 0)


def segment_prices(batch_ids: Collection[int]) -> dict[int, int | None]:
    """Return the price of a segment by batch, in millionths; None where the account does not pay by message. One
    query."""
    rows = Batch.objects.filter(pk__in=batch_ids).annotate(pays=PAYS)
    return {pk: price if pays else None for pk, price, pays in rows.values_list("pk", "price_micro", "pays")}


def refused_among(message_ids: Collection[int]) -> set[int]:
    """Return the messages that their provider refused after accepting them. One query, none without messages."""
    if not message_ids:
        return set()
    refusals = DeliveryReport.objects.filter(message_id__in=message_ids, source=FactSource.REFUSAL)
    return set(refusals.values_list("message_id", flat=True))


def prices_of(messages: Iterable[Message]) -> dict[int, Decimal | None]:
    """Return what each message costs, as `price_of`. One query, and another where some were not delivered."""
    messages = list(messages)
    by_batch = segment_prices({message.batch_id for message in messages})
    undelivered = [
        message.pk
        for message in messages
        if message.status == MessageStatus.UNDELIVERED and by_batch.get(message.batch_id)
    ]
    refused = refused_among(undelivered)
    return {
        message.pk: price_of(
            message.status, message.segment_count, by_batch.get(message.batch_id), is_refused=message.pk in refused
        )
        for message in messages
    }
