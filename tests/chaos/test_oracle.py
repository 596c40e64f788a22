"""The oracle notices each kind of lie."""

import pytest

from messaging.choices import MessageStatus, Reason
from tests.chaos.answers import Request, Told, judge_requests, recipients_of
from tests.chaos.oracle import (
    Entry,
    Finding,
    Row,
    Verdict,
    compare,
    differing,
    examine,
    miscounted,
    segments_taken,
    untold,
)

S = MessageStatus
ROW = Row(1024, "a", 1, "49151", S.DELIVERED, "", campaign="bulk-1")
OTHER = Row(1025, "b", 1, "49152", S.DELIVERED, "", campaign="bulk-1")
ENTRY = Entry("a", "49151", "delivered", 1)


def told(verdict: Verdict) -> tuple[int, int, int]:
    return len(verdict.lost), len(verdict.doubled), len(verdict.misstated)


def both(row: Row, *entries: Entry) -> tuple[int, int, int]:
    """What an examination and a comparison find together."""
    return tuple(map(sum, zip(told(examine([row], [row.phone])), told(compare([row], entries)), strict=True)))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("status", "kind", "times", "expected"),
    [
        ("DELIVERED", "delivered", 1, (0, 0, 0)),
        ("UNDELIVERED", "undelivered", 1, (0, 0, 0)),
        ("REJECTED", "rejected", 0, (0, 0, 0)),
        ("UNCONFIRMED", "delivered", 1, (0, 0, 0)),  # claims nothing
        ("UNCONFIRMED", None, 0, (0, 0, 0)),
        ("DELIVERED", "delivered", 2, (0, 1, 0)),
        ("UNCONFIRMED", "delivered", 3, (0, 1, 0)),
        ("QUEUED", None, 0, (1, 0, 0)),
        ("UNKNOWN", "delivered", 1, (1, 0, 0)),
        ("SENT", "delivered", 1, (1, 0, 0)),
        ("SENT", None, 0, (1, 0, 1)),
        ("DELIVERED", None, 0, (0, 0, 1)),
        ("DELIVERED", "undelivered", 1, (0, 0, 1)),
        ("DELIVERED", "silent", 1, (0, 0, 1)),
        ("REJECTED", "delivered", 1, (0, 0, 1)),
        ("REJECTED", None, 0, (0, 0, 1)),
        ("FAILED", None, 0, (1, 0, 0)),  # given up, and nothing here gives cause for that
        ("CANCELLED", "delivered", 1, (1, 0, 1)),
    ],
)
def test_a_message_is_judged_by_the_ledger(
    status: str, kind: str | None, times: int, expected: tuple[int, int, int]
) -> None:
    entries = [ENTRY._replace(kind=kind, times_accepted=times)] if kind else []
    assert both(ROW._replace(status=S[status]), *entries) == expected


def test_after_contrary_reports_delivered_is_right_and_nothing_else() -> None:
    contradicted = ENTRY._replace(kind="undelivered", is_reported=True, is_contradicted=True)
    assert both(ROW, contradicted) == (0, 0, 0)
    assert both(ROW._replace(status=S.UNDELIVERED), contradicted) == (0, 0, 1)


def test_unconfirmed_stands_for_its_reason_and_not_for_a_report_that_was_taken() -> None:
    row = ROW._replace(status=S.UNCONFIRMED, reason=Reason.NO_REPORT)
    assert both(row, ENTRY._replace(kind="silent")) == (0, 0, 0)
    assert both(row) == (0, 0, 1)
    assert both(row._replace(reason=Reason.NO_PROOF), ENTRY._replace(is_reported=True)) == (0, 0, 1)


def test_segments_are_those_of_the_ledger() -> None:
    assert both(ROW._replace(segments=2), ENTRY._replace(segments=2)) == (0, 0, 0)
    assert both(ROW._replace(segments=2), ENTRY) == (0, 0, 1)
    assert segments_taken([ROW._replace(segments=2), OTHER, OTHER._replace(status=S.UNCONFIRMED)]) == 3


def test_poison_is_a_cause_in_a_poisoned_batch_only() -> None:
    row = ROW._replace(status=S.FAILED, reason=Reason.POISON)
    assert told(examine([row], [], poisoned=[1])) == (0, 0, 0)
    assert told(examine([row], [], poisoned=[2])) == (1, 0, 0)
    assert told(examine([row._replace(reason="")], [], poisoned=[1])) == (1, 0, 0)


def test_a_recipient_without_a_message_is_lost_and_one_with_two_is_doubled() -> None:
    assert examine([ROW], [ROW.phone, "49152"]).lost == [Finding("49152 has no message")]
    assert examine([ROW, OTHER._replace(phone=ROW.phone)], []).doubled == [
        Finding("49151 has the messages a, b", ROW.number)
    ]


def test_an_accepted_id_that_is_not_ours_is_lost_and_a_second_message_to_one_number_is_doubled() -> None:
    verdict = compare([ROW], [ENTRY, ENTRY._replace(message_id="b")])
    assert verdict.lost == [Finding("b was accepted and is not in the database")]
    assert verdict.doubled == [Finding("49151 was accepted as a, b", ROW.number)]


@pytest.mark.parametrize(
    ("status", "reports", "found"),
    [
        (S.DELIVERED, [S.DELIVERED], 0),
        (S.DELIVERED, [S.SENT, S.UNDELIVERED, S.DELIVERED], 0),
        (S.UNCONFIRMED, [], 0),
        (S.SENT, [S.SENT], 0),
        (S.DELIVERED, [], 1),
        (S.DELIVERED, [S.DELIVERED, S.UNDELIVERED], 1),
        (S.DELIVERED, [S.DELIVERED, S.DELIVERED], 1),
        (S.REJECTED, [S.UNDELIVERED], 1),
    ],
)
def test_each_change_of_a_message_has_one_delivery_report(
    status: MessageStatus, reports: list[MessageStatus], found: int
) -> None:
    assert len(untold(ROW._replace(status=status), reports)) == found


def test_a_counter_that_is_not_the_number_of_rows_is_named() -> None:
    tally = {"delivered": 1, "sent": 0, "queued": 1}
    assert miscounted("batch 1", tally, [ROW]) == [Finding("batch 1 counts 1 queued and has 0")]
    assert differing("the statistics", {"sent": 2}, {"sent": 2, "delivered": 1}) == [
        Finding("the statistics counts 0 delivered and has 1")
    ]


def request(told_so: Told, *numbers: str, **given: object) -> Request:
    return Request("/sms/send", numbers or (ROW.phone,), told_so, "202", **({"bulk_id": "bulk-1"} | given))  # type: ignore[arg-type]


def test_what_was_accepted_exists_under_the_ids_that_were_given() -> None:
    assert told(judge_requests([request(Told.ACCEPTED, ids={ROW.phone: "a"})], [ROW])) == (0, 0, 0)
    assert told(judge_requests([request(Told.ACCEPTED, ids={ROW.phone: "c"})], [ROW])) == (1, 0, 0)
    assert told(judge_requests([request(Told.ACCEPTED, bulk_id="bulk-2")], [ROW])) == (1, 0, 0)
    assert told(judge_requests([request(Told.ACCEPTED, ROW.phone, "49153")], [ROW])) == (1, 0, 0)
    assert recipients_of([request(Told.ACCEPTED), request(Told.UNKNOWN, "49152")]) == [ROW.phone]


def test_what_was_not_answered_is_done_or_not_and_never_half() -> None:
    unanswered = request(Told.UNKNOWN, ROW.phone, OTHER.phone)
    assert told(judge_requests([unanswered], [])) == (0, 0, 0)
    assert told(judge_requests([unanswered], [ROW, OTHER])) == (0, 0, 0)
    assert told(judge_requests([unanswered], [ROW])) == (1, 0, 0)


def test_a_refusal_is_never_called_for_and_leaves_nothing() -> None:
    assert told(judge_requests([request(Told.REFUSED)], [])) == (0, 0, 1)
    assert told(judge_requests([request(Told.REFUSED)], [ROW])) == (0, 0, 2)
