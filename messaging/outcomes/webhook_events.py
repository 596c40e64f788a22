"""Message results for webhooks: the transaction that moves messages writes them into the outbox.

A body has the type `message.status` and carries up to 100 results of one campaign, in less than 20 KB. Each names its
own event, which endpoints choose by. Where nobody listens it costs one query.

`sequence` rises with every move that a message can make, so a receiver that keeps the highest has the truth, however
often and in whatever order bodies arrive.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
from django.db.models import Case, F, Q, When

from accounts.choices import MESSAGE_STATUS, EndpointKind, EventType
from accounts.webhooks import outbox
from campaigns.models import Campaign
from messaging.choices import OPEN, MessageStatus, Reason
from messaging.ids import batch_of, public_id
from messaging.models import Message
from messaging.outcomes.message_prices import price_of, segment_prices
from messaging.storage.message_rows import Failure, MessageChange, StoredMessage
from smsapp.lib.phone import mask

MAX_IN_BODY = 100
MAX_BODY = 20_000  # bytes
HEAD = 600  # bytes reserved for what surrounds the messages
ROWS_AT_ONCE = 1000

S = MessageStatus

#: The event of each status that is emitted; customers could not act upon the others.
EVENT_OF: dict[MessageStatus, EventType] = {
    S.SENT: EventType.MESSAGE_ACCEPTED,
    S.DELIVERED: EventType.MESSAGE_DELIVERED,
    S.UNDELIVERED: EventType.MESSAGE_UNDELIVERED,
    S.REJECTED: EventType.MESSAGE_FAILED,
    S.FAILED: EventType.MESSAGE_FAILED,
    S.CANCELLED: EventType.MESSAGE_FAILED,
    S.SUPPRESSED: EventType.MESSAGE_FAILED,
    S.EXPIRED: EventType.MESSAGE_EXPIRED,
    S.UNCONFIRMED: EventType.MESSAGE_UNCONFIRMED,
}
#: Statuses that were emitted as a result; whatever follows corrects it.
CORRECTABLE = (S.UNDELIVERED, S.UNCONFIRMED)


class Result(NamedTuple):
    """A message that has moved. `previous` None: it began so. `is_refused`: by the provider, after accepting it."""

    message_pk: int
    previous: MessageStatus | None
    status: MessageStatus
    sequence: int
    occurred_at: datetime
    reason: str = ""
    detail: str = ""
    is_refused: bool = False


class _Listener(NamedTuple):
    """An endpoint that gets events of a campaign. `currency`: None where the account does not pay by message."""

    campaign_id: int
    bulk_id: str
    client_reference: str | None
    currency: str | None
    endpoint_id: int
    event_types: Sequence[str]
    show_numbers: bool


def emit_events(
    campaign_of: Mapping[int, int],
    changes: Mapping[int, MessageChange],
    known: Mapping[int, StoredMessage],
    taken: Iterable[int],
    refused: Collection[int],
    now: datetime,
) -> None:
    """Emit events for what one application changed, in its transaction.

    `changes`: of messages that were `known`. `taken`: messages that the provider accepted, with nothing else to say.
    `refused`: those it refused afterwards. `campaign_of`: by batch.
    """
    message_pks = list(taken)
    listeners = _listeners(campaign_of.values()) if message_pks or changes else []
    if not listeners:
        return
    results = [Result(message_pk, S.QUEUED, S.SENT, sequence_of(S.SENT, True), now) for message_pk in message_pks]
    for message_pk, change in changes.items():
        status, stored = S(change.status), known[message_pk]
        if status in EVENT_OF and status != stored.status:
            was_taken = stored.was_taken or change.sent_at is not None
            occurred_at = change.done_at or change.sent_at or now
            sequence = sequence_of(status, was_taken)
            said = (change.reason, change.detail, message_pk in refused)
            result = Result(message_pk, S(stored.status), status, sequence, occurred_at, *said)
            results.append(result)
    _write(listeners, campaign_of, results)


def emit_unfit(campaign_id: int, failures: Mapping[int, Failure], now: datetime) -> None:
    """Emit events for messages, by key, that failed as they were made, in the transaction that stores them."""
    if listeners := _listeners([campaign_id]) if failures else []:
        sequence = sequence_of(S.FAILED, False)
        results = [
            Result(message_pk, None, S.FAILED, sequence, now, *failure) for message_pk, failure in failures.items()
        ]
        _write(listeners, {batch_of(message_pk): campaign_id for message_pk in failures}, results)


def sequence_of(status: MessageStatus, was_taken: bool) -> int:
    """Return the position of a status in the order in which a message may reach it. `was_taken`: by the provider."""
    match status:
        case S.UNCONFIRMED:
            return 3 if was_taken else 1
        case S.SENT:
            return 2
        case S.DELIVERED:
            return 5
    return 4


def _write(listeners: Sequence[_Listener], campaign_of: Mapping[int, int], results: Sequence[Result]) -> None:
    results = sorted(results)
    heard = {listener.campaign_id for listener in listeners}
    rows = _rows([result.message_pk for result in results if campaign_of[batch_of(result.message_pk)] in heard])
    paying = {listener.campaign_id for listener in listeners if listener.currency}
    prices = segment_prices([batch for batch, campaign in campaign_of.items() if campaign in paying]) if paying else {}
    events = []
    for listener in listeners:
        own = [result for result in results if campaign_of[batch_of(result.message_pk)] == listener.campaign_id]
        shown = [
            _shown(result, event, *rows[result.message_pk], prices.get(batch_of(result.message_pk)), listener)
            for result in own
            if outbox.wants(listener.event_types, event := event_of(result))
        ]
        for messages in _bodies(shown):
            data = {
                "bulk_id": listener.bulk_id,
                "client_reference": listener.client_reference,
                "messages": [orjson.Fragment(message) for message in messages],
            }
            events.append((listener.endpoint_id, MESSAGE_STATUS, data))
    outbox.write(events)


def event_of(result: Result) -> EventType:
    return EventType.MESSAGE_CORRECTED if result.previous in CORRECTABLE else EVENT_OF[result.status]


def _listeners(campaigns: Iterable[int]) -> list[_Listener]:
    """Return the account's endpoints of the campaign's mode, and the endpoint of its callback URL."""
    endpoint = "account__webhook_endpoints"
    found = Campaign.objects.filter(
        Q(**{f"{endpoint}__kind": EndpointKind.ENDPOINT}) | Q(**{f"{endpoint}__url": F("callback_url")}),
        **{f"{endpoint}__mode": F("mode"), f"{endpoint}__is_active": True},
        pk__among=campaigns,
    )
    currency = Case(When(prices__isnull=False, then=F("account__currency")), default=None)
    columns = (f"{endpoint}__pk", f"{endpoint}__event_types", f"{endpoint}__show_numbers")
    rows = found.annotate(currency=currency).values_list("pk", "bulk_id", "client_reference", "currency", *columns)
    return [_Listener(*row) for row in rows]


def _rows(message_pks: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Return phone number and segments of messages."""
    rows: dict[int, tuple[str, int]] = {}
    for start in range(0, len(message_pks), ROWS_AT_ONCE):
        among = Message.objects.filter(pk__in=message_pks[start : start + ROWS_AT_ONCE])
        rows |= {pk: (phone, count) for pk, phone, count in among.values_list("pk", "phone_number", "segment_count")}
    return rows


def _shown(
    result: Result, event: EventType, phone: str, segments: int, segment_price: int | None, listener: _Listener
) -> bytes:
    price = price_of(result.status, segments, segment_price, is_refused=result.is_refused)
    reason = result.reason if result.status is not S.SENT else ""
    return orjson.dumps(
        {
            "event": event.value,
            "message_id": public_id(result.message_pk),
            "to": phone if listener.show_numbers else mask(phone),
            "status": result.status.public,
            "previous_status": result.previous.public if result.previous else None,
            "is_final": result.status not in OPEN,
            "reason": reason or None,
            "error_message": str(Reason(reason).label) if reason else None,
            "detail": (reason and result.detail) or None,
            "segments": segments,
            "price": None if price is None else str(price),
            "currency": None if price is None else listener.currency,
            "sequence": result.sequence,
            "occurred_at": result.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    )


def _bodies(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield bodies in order, each with as many results as fit."""
    body: list[bytes] = []
    size = HEAD
    for message in messages:
        if body and (len(body) == MAX_IN_BODY or size + len(message) + 1 > MAX_BODY):
            yield body
            body, size = [], HEAD
        body.append(message)
        size += len(message) + 1
    if body:
        yield body
