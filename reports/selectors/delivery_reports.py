"""Delivery reports of an account, newest messages first, by keyset.

The report table has one index, (message, id), and a message's number names its batch; so a page walks the
account's batches downwards, some at a time, and reads their ranges. A page looks at MAX_RANGES at most and may
come out short; its cursor goes on where it stopped. So a page costs the same however many messages there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.models import Account
from messaging.choices import MessageStatus
from messaging.ids import batch_of, batch_range, parse_public_id
from messaging.models import Batch, DeliveryReport, Message
from reports.selectors.batch_facts import BatchFacts, facts_of
from reports.selectors.send_filter import ALL_SENDS, SendFilter
from smsapp.core.exceptions import NotFound
from smsapp.database.among import keys_of
from smsapp.database.prepared_query import Compiled, Slot

_MESSAGES = Compiled(
    lambda: Message.objects.filter(pk__among=Slot("messages")).values_list("pk", "phone_number", "segment_count")
)
MAX_RANGES = 1000  # that one page looks at: batches, or the messages to one number
AT_ONCE = 100  # read by one query: PostgreSQL compiles conditions of many more, which takes longer than to read

# What a provider, or its silence, can make of a message.
REPORTED = (
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.UNDELIVERED,
    MessageStatus.REJECTED,
    MessageStatus.UNCONFIRMED,
)

Range = tuple[int, int]  # of message numbers, ends included
Position = tuple[int, int]  # (message number, report id); a page holds what comes after it


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """None and empty strings filter nothing. `phone_number` in E.164; `status`: what a report made of its message,
    one of REPORTED."""

    send: SendFilter = ALL_SENDS
    message_id: str = ""
    phone_number: str = ""
    status: MessageStatus | None = None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report, with what it is about."""

    report: DeliveryReport
    phone_number: str
    segment_count: int
    facts: BatchFacts

    @property
    def position(self) -> Position:
        return self.report.message_id, self.report.pk


@dataclass(frozen=True, slots=True)
class ReportPage:
    """`next` is None at the end."""

    rows: list[ReportRow]
    next: Position | None


def page(account: Account, mode: str, wanted: ReportFilter, before: Position | None, limit: int) -> ReportPage:
    """Up to `limit` rows after position `before`."""
    is_of_messages = bool(wanted.message_id or wanted.phone_number)
    reports: list[DeliveryReport] = []
    looked_at, start = 0, before
    while looked_at < MAX_RANGES:
        most = min(AT_ONCE if looked_at else limit + 1, AT_ONCE, MAX_RANGES - looked_at)
        ranges = (_messages if is_of_messages else _batches)(account, mode, wanted, start, most)
        if ranges:
            reports += _in_ranges(ranges, wanted.status, before)[: limit + 1 - len(reports)]
        if len(reports) > limit:
            rows = _rows(reports[:limit])
            return ReportPage(rows, rows[-1].position)
        if len(ranges) < most:
            return ReportPage(_rows(reports), None)
        looked_at += most
        start = (ranges[-1][0], 0)  # everything from there upwards has been read
    return ReportPage(_rows(reports), start)


def find_message(account: Account, mode: str, message_id: str) -> Message:
    """Raises NotFound for an id that is not of this account."""
    message_pk = parse_public_id(message_id)
    messages = Message.objects.for_account(account, mode).select_related("campaign__audience")
    message = messages.filter(pk=message_pk).first() if message_pk is not None else None
    if message is None:
        raise NotFound("There is no such message.")
    return message


def reports_of(message: Message) -> list[ReportRow]:
    """Everything that was reported of a message, oldest first."""
    return _rows(list(DeliveryReport.objects.filter(message=message).order_by("id")))


def _rows(reports: Sequence[DeliveryReport]) -> list[ReportRow]:
    """Two queries, none without reports."""
    if not reports:
        return []
    message_pks = {report.message_id for report in reports}
    messages = _MESSAGES.rows(messages=keys_of(message_pks, connection.vendor))
    about = {pk: (phone, segments) for pk, phone, segments in messages}
    facts = facts_of({batch_of(message_pk) for message_pk in message_pks})
    return [ReportRow(report, *about[report.message_id], facts[batch_of(report.message_id)]) for report in reports]


def _batches(account: Account, mode: str, wanted: ReportFilter, before: Position | None, most: int) -> list[Range]:
    """The next batches that may have reports, from the newest down."""
    reported = reduce(or_, (Q(**{f"{status.label}__gt": 0}) for status in REPORTED))
    batches = Batch.objects.filter(reported, wanted.send.condition, account=account, mode=mode).order_by("-id")
    if before is not None:
        batches = batches.filter(id__lte=batch_of(before[0] - (before[1] == 0)))
    return [batch_range(batch) for batch in batches.values_list("id", flat=True)[:most]]


def _messages(account: Account, mode: str, wanted: ReportFilter, before: Position | None, most: int) -> list[Range]:
    """The next messages that are asked for, each a range of its own."""
    messages = Message.objects.for_account(account, mode).filter(wanted.send.condition)
    if wanted.message_id:
        messages = messages.filter(pk=parse_public_id(wanted.message_id) or 0)
    if wanted.phone_number:
        messages = messages.filter(phone_number=wanted.phone_number)
    if before is not None:
        messages = messages.filter(pk__lte=before[0] - (before[1] == 0))
    return [(message_pk, message_pk) for message_pk in messages.order_by("-id").values_list("id", flat=True)[:most]]


def _in_ranges(
    ranges: Sequence[Range], status: MessageStatus | None, before: Position | None
) -> QuerySet[DeliveryReport]:
    reports = DeliveryReport.objects.filter(message__id__within=ranges).order_by("-message_id", "-id")
    if status is not None:
        reports = reports.filter(status=status)
    if before is not None:
        reports = reports.filter(Q(message_id__lt=before[0]) | Q(message_id=before[0], id__lt=before[1]))
    return reports
