"""Delivery reports of an account, newest messages first, by keyset.

The report table has one index, (message, id), and a message's number names its batch; so a page walks the
account's batches downwards and reads each one's range, however many messages the installation holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import F, Q

from accounts.models import Account
from messaging.identity import batch_of, batch_range, number_of, public_id
from messaging.models import Batch, DeliveryReport, Message
from smsapp.exceptions import NotFound, ValidationError

Position = tuple[int, int]  # (message number, report id) of the last row of a page


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Empty strings filter nothing. `phone_number` in E.164."""

    bulk_id: str = ""
    message_id: str = ""
    phone_number: str = ""


@dataclass(frozen=True, slots=True)
class ReportRow:
    report: DeliveryReport
    message: Message

    @property
    def position(self) -> Position:
        return self.message.pk, self.report.pk


def page(account: Account, mode: str, wanted: ReportFilter, before: Position | None, limit: int) -> list[ReportRow]:
    """Up to `limit` rows after position `before`, with their messages and campaigns: a fixed number of queries
    for each batch the page touches."""
    rows: list[DeliveryReport] = []
    for first, last in _ranges(account, mode, wanted, before):
        reports = DeliveryReport.objects.filter(message_id__gte=first, message_id__lte=last)
        if before is not None:
            reports = reports.filter(Q(message_id__lt=before[0]) | Q(message_id=before[0], id__lt=before[1]))
        rows += reports.order_by("-message_id", "-id")[: limit - len(rows)]
        if len(rows) >= limit:
            break
    messages = Message.objects.select_related("campaign").in_bulk({row.message_id for row in rows})
    return [ReportRow(row, messages[row.message_id]) for row in rows]


def find_message(account: Account, mode: str, message_id: str) -> Message:
    """Raises NotFound for an id that is not of this account."""
    number = number_of(message_id)
    messages = Message.objects.for_account(account, mode).select_related("campaign__audience")
    message = messages.filter(pk=number).first() if number is not None else None
    if message is None:
        raise NotFound("There is no such message.")
    return message


def reports_of(message: Message) -> list[ReportRow]:
    """Everything that was reported of a message, oldest first."""
    return [ReportRow(report, message) for report in DeliveryReport.objects.filter(message=message).order_by("id")]


def encode_cursor(position: Position) -> str:
    return f"{public_id(position[0])}.{position[1]}"


def decode_cursor(text: str) -> Position:
    """Raises ValidationError for anything that `encode_cursor` did not make."""
    message_id, _, report = text.partition(".")
    number = number_of(message_id)
    if number is None or not report.isascii() or not report.isdigit() or len(report) > 18:
        raise ValidationError("This is no cursor of ours.", "cursor", text)
    return number, int(report)


def _ranges(account: Account, mode: str, wanted: ReportFilter, before: Position | None) -> Iterator[tuple[int, int]]:
    """Ranges of message numbers to read, downwards."""
    if wanted.message_id or wanted.phone_number:
        yield from ((number, number) for number in _numbers(account, mode, wanted))
        return
    batches = Batch.objects.filter(account=account, mode=mode).exclude(queued=F("size")).order_by("-id")
    if wanted.bulk_id:
        batches = batches.filter(campaign__bulk_id=wanted.bulk_id)
    if before is not None:
        batches = batches.filter(id__lte=batch_of(before[0]))
    for batch_id in batches.values_list("id", flat=True).iterator(chunk_size=200):
        yield batch_range(batch_id)


def _numbers(account: Account, mode: str, wanted: ReportFilter) -> Iterator[int]:
    messages = Message.objects.for_account(account, mode)
    if wanted.message_id:
        messages = messages.filter(pk=number_of(wanted.message_id) or 0)
    if wanted.phone_number:
        messages = messages.filter(phone_number=wanted.phone_number)
    if wanted.bulk_id:
        messages = messages.filter(campaign__bulk_id=wanted.bulk_id)
    yield from messages.order_by("-id").values_list("id", flat=True)[:1000]
