"""Messages of an account, newest first, by keyset: batches are walked downwards by their tallies.

A page looks at MAX_BATCHES at most and may come out short; its cursor goes on where it stopped. So a page costs the
same however many messages there are, and however deep it lies.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import BigIntegerField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from accounts.models import Account
from messaging.choices import MessageStatus
from messaging.ids import MAX_IN_BATCH, batch_of, batch_range
from messaging.models import Batch, Message
from reports.selectors.send_filter import ALL_SENDS, SendFilter

MAX_BATCHES = 1000  # that one page looks at
REACH = 100_000  # batches among which one page looks for those with a status: some fifty milliseconds
AT_ONCE = 100  # read by one query: PostgreSQL compiles conditions of many more, which takes longer than to read


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """None and what is empty filter nothing. `phone_number` in E.164; messages made from `made_after` to before
    `made_before`, as the figures of a day count them."""

    send: SendFilter = ALL_SENDS
    statuses: Collection[MessageStatus] = ()
    phone_number: str = ""
    made_after: datetime | None = None
    made_before: datetime | None = None

    def made(self, batches: QuerySet[Batch]) -> QuerySet[Batch]:
        """Those of the times asked for."""
        if self.made_after is not None:
            batches = batches.filter(created_at__gte=self.made_after)
        if self.made_before is not None:
            batches = batches.filter(created_at__lt=self.made_before)
        return batches


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
    messages: list[Message] = []
    looked_at, lowest, floor = 0, below, _floor(account, mode, wanted, below)
    while looked_at < MAX_BATCHES:
        most = min(AT_ONCE if looked_at else limit + 1, AT_ONCE, MAX_BATCHES - looked_at)
        part = _batches(account, mode, wanted, lowest, floor, most)
        for some in _as_needed(part, limit):
            messages += _of_batches(some, wanted, below)[: limit + 1 - len(messages)]
            if len(messages) > limit:
                return MessageList(messages[:limit], messages[limit - 1].pk)
        if len(part) < most:
            return MessageList(messages, batch_range(floor)[0] if floor else None)
        looked_at += most
        lowest = batch_range(part[-1][0])[0]
    return MessageList(messages, lowest)


def _floor(account: Account, mode: str, wanted: MessageFilter, below: int | None) -> int:
    """The key of the last batch among which this page looks for statuses; 0 if it may look at all.

    There is no index on the counts: where no batch has any, the database would read all there are.
    """
    if not wanted.statuses or wanted.send.bulk_id or wanted.send.client_reference:
        return 0
    keys = _below(account, mode, wanted, below).values_list("id", flat=True)
    return next(iter(keys[REACH - 1 : REACH]), 0)


def _batches(
    account: Account, mode: str, wanted: MessageFilter, below: int | None, floor: int, most: int
) -> list[tuple[int, int]]:
    """The next batches that may have some, and how many they have at most."""
    batches = _below(account, mode, wanted, below).filter(id__gte=floor)
    names = [status.label for status in wanted.statuses]
    if names:
        batches = batches.filter(reduce(or_, (Q(**{f"{name}__gt": 0}) for name in names)))
    rows = batches.values_list("id", *(names or ["size"]))[:most]
    return [(batch, sum(counts)) for batch, *counts in rows]


def _below(account: Account, mode: str, wanted: MessageFilter, below: int | None) -> QuerySet[Batch]:
    """Batches of the sends and times asked for, whatever became of them, newest first."""
    batches = Batch.objects.filter(wanted.send.condition, account=account, mode=mode).order_by("-id")
    if below is not None:
        batches = batches.filter(id__lte=batch_of(below - 1))
    return wanted.made(batches)


def _as_needed(batches: Sequence[tuple[int, int]], limit: int) -> Iterator[list[int]]:
    """Batches in groups that should each fill a page."""
    some: list[int] = []
    count = 0
    for batch, size in batches:
        some.append(batch)
        count += size
        if count > limit:
            yield some
            some, count = [], 0
    if some:
        yield some


def _of_batches(batches: Sequence[int], wanted: MessageFilter, below: int | None) -> QuerySet[Message]:
    return _narrowed(Message.objects.filter(id__within=[batch_range(batch) for batch in batches]), wanted, below)


def _of_number(account: Account, mode: str, wanted: MessageFilter, below: int | None) -> QuerySet[Message]:
    """By the index (number, id)."""
    messages = Message.objects.for_account(account, mode).filter(
        wanted.send.condition, phone_number=wanted.phone_number
    )
    if wanted.made_after is not None or wanted.made_before is not None:
        own = ExpressionWrapper(OuterRef("id") / MAX_IN_BATCH, BigIntegerField())
        messages = messages.filter(Exists(wanted.made(Batch.objects.filter(pk=own))))
    return _narrowed(messages, wanted, below)


def _narrowed(messages: QuerySet[Message], wanted: MessageFilter, below: int | None) -> QuerySet[Message]:
    if below is not None:
        messages = messages.filter(id__lt=below)
    if wanted.statuses:
        messages = messages.filter(status__in=wanted.statuses)
    return messages.order_by("-id")
