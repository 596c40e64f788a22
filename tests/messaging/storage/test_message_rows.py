"""The set-based SQL does to each row what it would be told alone, whichever of its ways it takes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.choices import FactSource, MessageStatus, Reason
from messaging.ids import make_message_pk
from messaging.models import Batch, DeliveryReport, Message, ReportInbox, StatDelta
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.sending.expansion import expand_ready
from messaging.storage import message_rows, report_rows
from messaging.storage.message_rows import MessageChange
from messaging.storage.report_rows import NewReport
from smsapp.core import clock
from tests.support.factories import make_campaign

pytestmark = pytest.mark.django_db

S = MessageStatus
MOMENT = datetime(2026, 8, 24, 15, 0, 0, 123000, tzinfo=UTC)
MANY = 3 * message_rows._MIN_ALIKE
Shape = Callable[[int], int | None]


@pytest.fixture
def numbers() -> list[int]:
    """Of the messages of one batch."""
    make_campaign(count=MANY)
    expand_ready()
    return list(Message.objects.order_by("id").values_list("id", flat=True))


SHAPES = {
    "all alike and at once": lambda n: 0,
    "alike, each at its own time": lambda n: n,
    "every second": lambda n: n if n % 2 else None,
    "first and last": lambda n: 0 if n in (0, MANY - 1) else None,
    "a few of them": lambda n: n if n < 3 else None,
    "with a gap": lambda n: None if MANY // 3 <= n < MANY // 2 else 0,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_change_is_written_and_no_other(numbers: list[int], shape: Shape) -> None:
    seconds = {number: after for n, number in enumerate(numbers) if (after := shape(n)) is not None}
    changes = {
        number: MessageChange(number, S.DELIVERED, "", "", MOMENT, MOMENT + timedelta(seconds=after))
        for number, after in seconds.items()
    }
    message_rows.update_messages(list(changes.values()))
    rows = Message.objects.values_list("id", "status", "reason", "detail", "sent_at", "done_at")
    assert {row[0]: row for row in rows if row[1] != S.QUEUED} == changes
    assert len(rows) == MANY


def test_changes_of_different_kinds_travel_together(numbers: list[int]) -> None:
    kinds = [(S.SENT, "", ""), (S.UNDELIVERED, Reason.UNREACHABLE, "27"), (S.REJECTED, Reason.NONE, 'a "b" {c}\\ \t,')]
    changes = [
        MessageChange(number, *kinds[0 if n % 10 else 1 + n // 10 % 2], MOMENT, None if n % 10 else MOMENT)
        for n, number in enumerate(numbers)
    ]
    message_rows.update_messages(changes)
    rows = Message.objects.order_by("id").values_list("id", "status", "reason", "detail", "sent_at", "done_at")
    assert list(rows) == changes


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_reading_finds_what_was_asked_for(numbers: list[int], shape: Shape) -> None:
    Message.objects.filter(id=numbers[1]).update(status=S.SENT, sent_at=MOMENT)
    wanted = [number for n, number in enumerate(numbers) if shape(n) is not None]
    stored = message_rows.read_messages([*wanted, numbers[-1] + 10**6])
    assert sorted(stored) == wanted
    expected = Message.objects.filter(id__in=wanted).values_list("id", "status", "segment_count", "sent_at", "reason")
    assert sorted(stored.values()) == [(*row[:3], row[3] is not None, row[4]) for row in sorted(expected)]


def test_a_report_is_stored_as_it_is(numbers: list[int]) -> None:
    odd = "tab\t, line\nend, \\N, back\\slash, \u20ac, quote\" '"
    rows = [
        NewReport(
            numbers[0], MOMENT, S.DELIVERED, "", FactSource.PUSH, odd, "0", odd, Decimal("0.0535"), "EUR", MOMENT
        ),
        NewReport(numbers[1], None, S.UNDELIVERED, Reason.UNREACHABLE, FactSource.POLL, "", "", "", None, "", MOMENT),
    ]
    report_rows.insert_reports(rows)
    assert list(DeliveryReport.objects.order_by("id").values_list(*NewReport._fields)) == rows


def test_a_body_is_stored_and_read_as_it_is() -> None:
    """Not as text: it may be in any encoding, or in none."""
    body = bytes(range(256)) * 300
    report_rows.insert_body("simulator", FactSource.PUSH, body, 7)
    stored = ReportInbox.objects.get()
    (read,) = report_rows.read_bodies([stored.pk, stored.pk + 1])
    assert not read.get_deferred_fields()
    assert vars(read) | {"_state": None, "body": bytes(read.body)} == vars(stored) | {"_state": None, "body": body}
    assert (bytes(stored.body), stored.report_count, stored.applied_at, stored.error) == (body, 7, None, "")
    age = clock.now() - stored.received_at
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert stored.next_attempt_at <= clock.now()


# --- an accepting answer: one statement for what `apply` does message by message ----------------------------


def as_written() -> tuple[object, ...]:
    """All that an answer changes, but for its moment."""
    rows = Message.objects.order_by("id").values_list("id", "status", "reason", "detail", "done_at", "sent_at")
    return (
        [(*row[:-1], row[-1] is not None) for row in rows],
        [batch.tally for batch in Batch.objects.order_by("id")],
        [(delta.segments, delta.tally) for delta in StatDelta.objects.order_by("id") if any(delta.tally.values())],
        DeliveryReport.objects.count(),
    )


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("earlier", [None, S.UNKNOWN, S.DELIVERED])
def test_accepting_does_what_apply_does(numbers: list[int], shape: Shape, earlier: S | None) -> None:
    """Also where a report was quicker than the answer, or the sweep had given the call up."""
    if earlier:
        source = FactSource.DEADLINE if earlier is S.UNKNOWN else FactSource.PUSH
        settlement.apply([Fact(number, earlier, source) for number in numbers[: MANY // 4]])
    StatDelta.objects.all().delete()
    before = list(Message.objects.values()), list(Batch.objects.values())
    wanted = [number for n, number in enumerate(numbers) if shape(n) is not None]

    applied = settlement.apply([Fact(number, S.SENT, FactSource.ANSWER) for number in wanted])
    told = as_written()
    for table, rows in zip((Message, Batch), before, strict=True):
        for row in rows:
            table.objects.filter(pk=row["id"]).update(**row)
    StatDelta.objects.all().delete()

    accepted = settlement.apply([], accepted=wanted)
    assert accepted == applied
    messages, tallies, deltas, reports = as_written()
    assert (messages, tallies, reports) == (told[0], told[1], told[3])
    assert _sum(deltas) == _sum(told[2])


def _sum(deltas: object) -> tuple[int, dict[str, int]]:
    segments, total = 0, dict.fromkeys(Batch().tally, 0)
    for more, tally in deltas:  # type: ignore[attr-defined]
        segments += more
        total = {status: count + tally[status] for status, count in total.items()}
    return segments, total


def test_messages_of_very_many_batches_are_named_in_a_list() -> None:
    """A range for each made a condition that PostgreSQL compiled for a quarter of an hour."""
    with CaptureQueriesContext(connection) as captured:
        message_rows.mark_sent([make_message_pk(batch, 0) for batch in range(1, 1001)], MOMENT)
    (statement,) = captured
    assert "BETWEEN" not in statement["sql"]


def test_accepting_moves_nothing_of_a_batch_that_is_gone(numbers: list[int]) -> None:
    """Its row is the lock of its messages, and has their tally."""
    Batch.objects.all().delete()
    applied = settlement.apply([], accepted=numbers)
    assert (applied.changed, applied.unmatched) == (0, MANY)
    assert set(Message.objects.values_list("status", flat=True)) == {S.QUEUED}
