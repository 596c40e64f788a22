"""A campaign's messages, page by page: its batches are walked by their tallies, the message table by its key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from campaigns.models import Campaign
from messaging.choices import AttemptState, MessageStatus
from messaging.ids import batch_of, batch_range, make_message_pk, public_id
from messaging.models import Attempt, Batch, Message

PAGE_SIZE = 50

SENDING = "sending"  # shown while an open attempt spans the message; not stored


@dataclass(frozen=True, slots=True)
class MessageRow:
    """`status` is a message status by name, or `sending`."""

    message_pk: int
    message_id: str
    row: int
    phone_number: str
    status: str
    reason: str
    segment_count: int
    sent_at: datetime | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """`next_after` is the cursor of the next page, None on the last one."""

    rows: list[MessageRow]
    next_after: int | None


def message_page(
    campaign: Campaign, status: MessageStatus | None = None, after: int = 0, size: int = PAGE_SIZE
) -> MessagePage:
    """Messages in the order of their ids, the first of them above `after`; at most a few queries."""
    found: list[Message] = []
    wanted = size + 1
    cursor, are_all = after, False
    while len(found) < wanted and not are_all:
        batches, are_all = _next_batches(campaign, status, cursor, wanted - len(found))
        if batches:
            found += _messages_of(batches, status, cursor, wanted - len(found))
            cursor = make_message_pk(batches[-1] + 1, 0) - 1
    page = found[:size]
    return MessagePage(_rows(page), page[-1].id if len(found) > size else None)


def display_status(status: MessageStatus, is_in_call: bool) -> str:
    return SENDING if is_in_call and status is MessageStatus.QUEUED else status.label


def _next_batches(campaign: Campaign, status: MessageStatus | None, cursor: int, wanted: int) -> tuple[list[int], bool]:
    """Ids of batches from the cursor's on that should hold enough messages of the status to fill the page; whether
    they are all there are.

    Fewer are found where the cursor's own batch has given some to the page before; the caller asks again.
    """
    column = status.label if status else "size"
    batches = Batch.objects.filter(campaign=campaign, id__gte=batch_of(cursor + 1), **{f"{column}__gt": 0})
    chosen = []
    for batch_id, count in batches.order_by("id").values_list("id", column)[:wanted]:
        chosen.append(batch_id)
        wanted -= count
        if wanted <= 0:
            return chosen, False
    return chosen, True


def _messages_of(batches: Sequence[int], status: MessageStatus | None, cursor: int, limit: int) -> list[Message]:
    ranges = [batch_range(batch_id) for batch_id in batches]
    messages = Message.objects.filter(id__within=ranges, id__gt=cursor).order_by("id")
    if status:
        messages = messages.filter(status=status)
    return list(messages[:limit])


def _rows(messages: Sequence[Message]) -> list[MessageRow]:
    in_call = _open_slices({message.batch_id for message in messages if message.status == MessageStatus.QUEUED})
    return [
        MessageRow(
            message_pk=message.id,
            message_id=public_id(message.id),
            row=message.row,
            phone_number=message.phone_number,
            status=display_status(
                MessageStatus(message.status), any(first <= message.id <= last for first, last in in_call)
            ),
            reason=message.error_message,
            segment_count=message.segment_count,
            sent_at=message.sent_at,
            done_at=message.done_at,
        )
        for message in messages
    ]


def _open_slices(batch_ids: set[int]) -> list[tuple[int, int]]:
    if not batch_ids:
        return []
    open_attempts = Attempt.objects.filter(batch_id__in=batch_ids, state=AttemptState.OPEN)
    return list(open_attempts.values_list("first", "last"))
