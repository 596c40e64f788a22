"""Delivery reports of an account, newest messages first, by keyset.

The report table has one index, (message, id), and a message's number names its batch; so a page walks the
account's batches downwards, some at a time, and reads their ranges. A page looks at MAX_RANGES at most and may
come out short; its cursor goes on where it stopped. So a page costs the same however many messages there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from accounts.models import Account
from messaging.choices import MessageStatus
from messaging.identity import batch_of, batch_range, number_of
from messaging.models import Batch, DeliveryReport, Message
from reports.batch_facts import BatchFacts, facts_of
from smsapp.exceptions import NotFound

MAX_RANGES = 1000  # that one page looks at: batches, or the messages to one number
RANGES_AT_ONCE = 50  # read by one query

Position = tuple[int, int]  # (message number, report id); a page holds what comes after it


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """None and empty strings filter nothing. `phone_number` in E.164; `status`: what a report made of its message;
    times are those of accepting the message, from `created_after` to before `created_before`."""

    bulk_id: str = ""
    client_reference: str = ""
    message_id: str = ""
    phone_number: str = ""
    status: MessageStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


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
    if wanted.message_id or wanted.phone_number:
        ranges = [(number, number) for number in _numbers(account, mode, wanted, before)]
    else:
        ranges = [batch_range(batch) for batch in _batches(account, mode, wanted, before)]
    # Everything from the last range looked at upwards has been read.
    rest = (ranges[-1][0], 0) if len(ranges) == MAX_RANGES else None
    reports: list[DeliveryReport] = []
    for some in _in_groups(ranges, RANGES_AT_ONCE):
        reports += _in_ranges(some, wanted.status, before)[: limit + 1 - len(reports)]
        if len(reports) > limit:
            break
    rows = _rows(reports)
    return ReportPage(rows[:limit], rows[limit - 1].position if len(rows) > limit else rest)


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
    return _rows(list(DeliveryReport.objects.filter(message=message).order_by("id")))


def _rows(reports: Sequence[DeliveryReport]) -> list[ReportRow]:
    """Two queries, none without reports."""
    if not reports:
        return []
    numbers = {report.message_id for report in reports}
    messages = Message.objects.filter(pk__in=numbers).values_list("pk", "phone_number", "segment_count")
    about = {pk: (phone, segments) for pk, phone, segments in messages}
    facts = facts_of({batch_of(number) for number in numbers})
    return [ReportRow(report, *about[report.message_id], facts[batch_of(report.message_id)]) for report in reports]


def _batches(account: Account, mode: str, wanted: ReportFilter, before: Position | None) -> list[int]:
    """Batches that may have reports, from the newest down."""
    reported = Q(sent__gt=0) | Q(delivered__gt=0) | Q(undelivered__gt=0) | Q(rejected__gt=0)
    batches = Batch.objects.filter(reported, _of_campaign(wanted), account=account, mode=mode).order_by("-id")
    if wanted.created_after is not None:
        batches = batches.filter(created_at__gte=wanted.created_after)
    if wanted.created_before is not None:
        batches = batches.filter(created_at__lt=wanted.created_before)
    if before is not None:
        batches = batches.filter(id__lte=batch_of(before[0]))
    return list(batches.values_list("id", flat=True)[:MAX_RANGES])


def _numbers(account: Account, mode: str, wanted: ReportFilter, before: Position | None) -> list[int]:
    messages = Message.objects.for_account(account, mode).filter(_of_campaign(wanted))
    if wanted.created_after is not None:
        messages = messages.filter(campaign__created_at__gte=wanted.created_after)
    if wanted.created_before is not None:
        messages = messages.filter(campaign__created_at__lt=wanted.created_before)
    if wanted.message_id:
        messages = messages.filter(pk=number_of(wanted.message_id) or 0)
    if wanted.phone_number:
        messages = messages.filter(phone_number=wanted.phone_number)
    if before is not None:
        messages = messages.filter(pk__lte=before[0])
    return list(messages.order_by("-id").values_list("id", flat=True)[:MAX_RANGES])


def _of_campaign(wanted: ReportFilter) -> Q:
    found = Q()
    if wanted.bulk_id:
        found &= Q(campaign__bulk_id=wanted.bulk_id)
    if wanted.client_reference:
        found &= Q(campaign__client_reference=wanted.client_reference)
    return found


def _in_ranges(
    ranges: Sequence[tuple[int, int]], status: MessageStatus | None, before: Position | None
) -> QuerySet[DeliveryReport]:
    within = reduce(or_, (Q(message_id__gte=first, message_id__lte=last) for first, last in ranges))
    reports = DeliveryReport.objects.filter(within).order_by("-message_id", "-id")
    if status is not None:
        reports = reports.filter(status=status)
    if before is not None:
        reports = reports.filter(Q(message_id__lt=before[0]) | Q(message_id=before[0], id__lt=before[1]))
    return reports


def _in_groups(ranges: Sequence[tuple[int, int]], size: int) -> Iterator[Sequence[tuple[int, int]]]:
    for start in range(0, len(ranges), size):
        yield ranges[start : start + size]
