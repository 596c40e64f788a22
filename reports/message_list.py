"""Messages of an account, newest first, by keyset: batches are walked downwards by their tallies.

A page looks at MAX_BATCHES at most and may come out short; its cursor goes on where it stopped. So a page costs the
same however many messages there are, and however deep it lies.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from accounts.models import Account
from messaging.choices import MessageStatus
from messaging.identity import batch_of, batch_range
from messaging.models import Batch, Message

Rows = TypeVar("Rows", bound=QuerySet[Any])

MAX_BATCHES = 1000  # that one page looks at
BATCHES_AT_ONCE = 50  # read by one query


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """None and what is empty filter nothing. `phone_number` in E.164; times are those of accepting."""

    statuses: Collection[MessageStatus] = ()
    bulk_id: str = ""
    client_reference: str = ""
    phone_number: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageList:
    """`next` is the number below which the next page begins; None at the end."""

    rows: list[Message]
    next: int | None


def message_list(account: Account, mode: str, wanted: MessageFilter, below: int | None, limit: int) -> MessageList:
    """Up to `limit` messages with numbers below `below`."""
    if wanted.phone_number:
        found = list(_of_number(account, mode, wanted, below)[: limit + 1])
        return MessageList(found[:limit], found[limit - 1].pk if len(found) > limit else None)
    batches = _batches(account, mode, wanted, below)
    messages: list[Message] = []
    for start in range(0, len(batches), BATCHES_AT_ONCE):
        part = batches[start : start + BATCHES_AT_ONCE]
        messages += _of_batches(part, wanted, below)[: limit + 1 - len(messages)]
        if len(messages) > limit:
            return MessageList(messages[:limit], messages[limit - 1].pk)
    rest = batch_range(batches[-1])[0] if len(batches) == MAX_BATCHES else None
    return MessageList(messages, rest)


def _batches(account: Account, mode: str, wanted: MessageFilter, below: int | None) -> list[int]:
    batches = Batch.objects.filter(account=account, mode=mode).order_by("-id")
    if below is not None:
        batches = batches.filter(id__lte=batch_of(below - 1))
    if wanted.statuses:
        batches = batches.filter(reduce(or_, (Q(**{f"{status.label}__gt": 0}) for status in wanted.statuses)))
    batches = _in_time(_of_campaign(batches, wanted), wanted, "created_at")
    return list(batches.values_list("id", flat=True)[:MAX_BATCHES])


def _of_batches(batches: Sequence[int], wanted: MessageFilter, below: int | None) -> QuerySet[Message]:
    ranges = reduce(or_, (Q(id__range=batch_range(batch)) for batch in batches))
    return _narrowed(Message.objects.filter(ranges), wanted, below)


def _of_number(account: Account, mode: str, wanted: MessageFilter, below: int | None) -> QuerySet[Message]:
    """By the index (number, id)."""
    messages = Message.objects.for_account(account, mode).filter(phone_number=wanted.phone_number)
    messages = _in_time(_of_campaign(messages, wanted), wanted, "campaign__created_at")
    return _narrowed(messages, wanted, below)


def _narrowed(messages: QuerySet[Message], wanted: MessageFilter, below: int | None) -> QuerySet[Message]:
    if below is not None:
        messages = messages.filter(id__lt=below)
    if wanted.statuses:
        messages = messages.filter(status__in=wanted.statuses)
    return messages.order_by("-id")


def _of_campaign(rows: Rows, wanted: MessageFilter) -> Rows:
    if wanted.bulk_id:
        rows = rows.filter(campaign__bulk_id=wanted.bulk_id)
    if wanted.client_reference:
        rows = rows.filter(campaign__client_reference=wanted.client_reference)
    return rows


def _in_time(rows: Rows, wanted: MessageFilter, column: str) -> Rows:
    if wanted.created_after is not None:
        rows = rows.filter(**{f"{column}__gte": wanted.created_after})
    if wanted.created_before is not None:
        rows = rows.filter(**{f"{column}__lt": wanted.created_before})
    return rows
