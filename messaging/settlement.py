"""`apply`, the one writer of what happened to messages.

Answers, pushed and polled delivery reports, look-ups, deadlines and our own decisions all arrive here as Facts,
in bulk, in any order and any number of times. In one transaction:

1. lock the batches concerned, in id order: a batch's row is the lock of its messages;
2. read the messages and decide every move from the table in `choices.py`;
3. write messages, delivery reports, batch tallies and statistics;
4. move the campaign counters, last, so that their lock is held for the shortest time.

A fact that changes nothing (repeated, late, out of order) is dropped without harm.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db import transaction

from campaigns.models import Campaign
from campaigns.services import pause_for_gateway, settle_status
from messaging import bulk, clock, contradictions, counters, results
from messaging.bulk import MessageChange, NewReport, StoredMessage
from messaging.choices import (
    ACCEPTED,
    BATCH,
    MESSAGE,
    NEVER_HANDED_OVER,
    Actor,
    BatchState,
    FactSource,
    MessageStatus,
    Reason,
)
from messaging.gateways.base import Report
from messaging.identity import batch_of, number_of, public_id
from messaging.models import Attempt, Batch

logger = logging.getLogger(__name__)

MAX_PRICE = 10**6  # more for one message is no price
QUEUED, SENT = MessageStatus.QUEUED, MessageStatus.SENT
_STATUS = {status.value: status for status in MessageStatus}  # ten times as quick as asking the class


class Fact(NamedTuple):
    """Something we learned of, or decided about, one message. `report` is the provider's word, if it is one."""

    number: int
    status: MessageStatus
    source: FactSource
    reason: Reason = Reason.NONE
    detail: str = ""
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """How many facts changed a message, changed nothing, or named no message of ours."""

    changed: int = 0
    unchanged: int = 0
    unmatched: int = 0


class _Locked(NamedTuple):
    """A batch whose row is locked."""

    campaign_id: int
    state: str


@dataclass(slots=True)
class _Decision:
    """`moves`: how many, by batch, from and to. `segments`: of messages that a provider took, less those that it did
    not after all, by batch."""

    changes: dict[int, MessageChange]
    reports: list[NewReport]
    moves: Counter[tuple[int, MessageStatus, MessageStatus]]
    segments: Counter[int]
    unmatched: int


def facts_from(reports: Iterable[Report], source: FactSource) -> tuple[list[Fact], int]:
    """Reports as facts, and how many were about ids that are not ours.

    A refusal for our account's sake (no credit, key, route) is no fact about a message: the message may be sent
    later, and whoever gets such a report pauses the campaign.
    """
    facts = []
    foreign = 0
    for report in reports:
        number = number_of(report.message_id)
        if number is None:
            foreign += 1
        elif not report.account_refused:
            facts.append(Fact(number, report.status, source, report.reason, report.error_code, report))
    return facts, foreign


def apply(facts: Sequence[Fact], accepted: Sequence[int] = (), at: datetime | None = None) -> Applied:
    """Move messages as the facts say; the table allows each source its own moves.

    `accepted`: messages of which the answer to their call says that the provider took them, and nothing else. Nearly
    all are, so those still queued go in one statement, at a tenth of the price; of the others it is a fact like any.
    `at`: the database's time, if the caller has just asked for it.
    """
    if not facts and not accepted:
        return Applied()
    now = at or clock.now()
    with transaction.atomic(savepoint=False):
        batches = _lock_batches({batch_of(fact.number) for fact in facts} | {batch_of(number) for number in accepted})
        locked = [number for number in accepted if batch_of(number) in batches]
        segments = bulk.mark_sent(locked, now) if locked else {}
        facts = [*facts, *(Fact(number, SENT, FactSource.ANSWER) for number in accepted if number not in segments)]
        known = bulk.read_messages({fact.number for fact in facts if batch_of(fact.number) in batches})
        decision = _decide(facts, known, now)
        bulk.update_messages(list(decision.changes.values()))
        bulk.insert_reports(decision.reports)
        campaign_of = {pk: batch.campaign_id for pk, batch in batches.items()}
        results.tell(campaign_of, decision.changes, known, segments, now)
        for number, count in segments.items():
            batch_id = batch_of(number)
            decision.moves[batch_id, QUEUED, SENT] += 1
            decision.segments[batch_id] += count
        _write_tallies(batches, decision, now)
    moved = sum(decision.moves.values())
    return Applied(moved, len(facts) + len(segments) - moved - decision.unmatched, decision.unmatched)


def apply_late_refusals(reports: Sequence[Report]) -> Applied:
    """A provider may take a message and report later that it refuses our account (no credit). Then that message is
    not delivered, and its running campaign is paused before the others go the same way. What such a report says of
    an earlier call is no fact any more once a later one has carried the message."""
    if not reports:
        return Applied()
    numbers = {number: report for report in reports if (number := number_of(report.message_id)) is not None}
    with transaction.atomic():
        _lock_batches({batch_of(number) for number in numbers})
        last = _last_references(numbers)
        facts = [
            Fact(number, MessageStatus.UNDELIVERED, FactSource.REFUSAL, report.reason, report.error_code, report)
            for number, report in numbers.items()
            if report.reference in ("", last.get(number))
        ]
        applied = apply(facts)
    if applied.changed:
        batches = Batch.objects.filter(pk__in={batch_of(number) for number in numbers})
        campaigns = sorted(set(batches.values_list("campaign_id", flat=True)))
        detail = f"The gateway refuses our account: {next(iter(numbers.values())).provider_status}"

        def pause() -> None:
            for campaign_id in campaigns:
                pause_for_gateway(campaign_id, detail)

        transaction.on_commit(pause)
    return applied


def _last_references(numbers: Iterable[int]) -> dict[int, str]:
    """The reference of the last call that carried each message."""
    attempts = Attempt.objects.filter(batch_id__in={batch_of(number) for number in numbers}).order_by("pk")
    last: dict[int, str] = {}
    for first, end, reference in attempts.values_list("first", "last", "reference"):
        last |= {number: reference for number in numbers if first <= number <= end}
    return last


def control(numbers: Iterable[int], status: MessageStatus, reason: Reason, detail: str = "") -> Applied:
    """Apply one decision of our own to messages that are in no call."""
    return apply([Fact(number, status, FactSource.DECISION, reason, detail) for number in numbers])


def resting_state(batch: Batch) -> BatchState:
    """The state of a batch that nobody holds, from its tally."""
    if batch.unknown:
        return BatchState.UNKNOWN
    return BatchState.READY if batch.queued else BatchState.DONE


def lock_for(numbers: Iterable[int]) -> None:
    """Where facts are applied more than once in one transaction: lock all that they may move before the first, in
    the order that everybody keeps, batches before campaigns."""
    batches = _lock_batches({batch_of(number) for number in numbers})
    _lock_campaigns({batch.campaign_id for batch in batches.values()})


def _lock_batches(ids: set[int]) -> dict[int, _Locked]:
    rows = Batch.objects.filter(pk__in=ids).order_by("pk").select_for_update()
    return {pk: _Locked(*row) for pk, *row in rows.values_list("pk", *_Locked._fields)}


def _decide(facts: Sequence[Fact], known: Mapping[int, StoredMessage], now: datetime) -> _Decision:
    current = {number: _STATUS[stored.status] for number, stored in known.items()}
    decision = _Decision({}, [], Counter(), Counter(), 0)
    for fact in facts:
        number = fact.number
        status = current.get(number)
        if status is None:
            decision.unmatched += 1
            continue
        target = _target(fact, status)
        if not MESSAGE.may(status, target, fact.source):
            if fact.status in ACCEPTED and status in NEVER_HANDED_OVER:
                what = f"message {public_id(number)} is {status.label}, yet the provider has it"
                contradictions.note_provider(what)
            continue
        earlier, stored = decision.changes.get(number), known[number]
        was_taken = stored.was_taken or (earlier is not None and earlier.sent_at is not None)
        if was_taken and status is MessageStatus.UNCONFIRMED and target is MessageStatus.SENT:
            continue  # that the provider took it was known when it was given up
        decision.changes[number] = _change(fact, target, earlier.sent_at if earlier else None, was_taken, now)
        batch_id = batch_of(number)
        decision.moves[batch_id, status, target] += 1
        taken = (target in ACCEPTED) - (status in ACCEPTED)
        if taken:
            decision.segments[batch_id] += taken * stored.segment_count
        # An accepting answer is told by the attempt; a refusing one is the provider's last word on the message.
        if fact.report and (fact.source is not FactSource.ANSWER or fact.status is MessageStatus.REJECTED):
            decision.reports.append(_new_report(fact, fact.report, target, now))
        current[number] = target
    return decision


def _target(fact: Fact, status: MessageStatus) -> MessageStatus:
    """A provider that took a message and refuses it later did have it: that is undelivered, not rejected."""
    if fact.status is MessageStatus.REJECTED and status is MessageStatus.SENT:
        return MessageStatus.UNDELIVERED
    return fact.status


def _change(
    fact: Fact, target: MessageStatus, sent_at: datetime | None, was_taken: bool, now: datetime
) -> MessageChange:
    happened_at = fact.report.done_at if fact.report and fact.report.done_at else now
    if target in ACCEPTED and not was_taken:
        sent_at = min(now, happened_at)
    open_still = target in (MessageStatus.QUEUED, MessageStatus.UNKNOWN, MessageStatus.SENT)
    return MessageChange(
        fact.number, target, fact.reason, _fit(fact.detail, 120), sent_at, None if open_still else happened_at
    )


def _new_report(fact: Fact, report: Report, target: MessageStatus, now: datetime) -> NewReport:
    price = report.price
    return NewReport(
        fact.number,
        report.done_at,
        target,
        fact.reason,
        fact.source,
        _fit(report.provider_status, 60),
        _fit(report.error_code, 20),
        _fit(report.error_description, 200),
        price if price is None or abs(price) < MAX_PRICE else None,
        _fit(report.currency, 3),
        now,
    )


@lru_cache(maxsize=1024)
def _fit(text: str, length: int) -> str:
    """A provider's text as the database takes it: PostgreSQL refuses NUL, and one odd report must not stop others."""
    return text[:length].replace("\x00", "")


def _by_batch(moves: Counter[tuple[int, MessageStatus, MessageStatus]]) -> dict[int, Counter[str]]:
    """What the moves change in each batch's tally."""
    tallies: dict[int, Counter[str]] = defaultdict(Counter)
    for (batch_id, old, new), count in moves.items():
        tallies[batch_id][old.label] -= count
        tallies[batch_id][new.label] += count
    return tallies


def write_statistics(tallies: Mapping[int, Mapping[str, int]], segments: Mapping[int, int]) -> None:
    """Note what this transaction changed, for the statistics: signed changes by status, and segments, by batch."""
    counters.insert_deltas(
        [(batch_id, segments.get(batch_id, 0), tally) for batch_id, tally in sorted(tallies.items())]
    )


def _lock_campaigns(ids: Iterable[int]) -> None:
    """No key of a campaign changes: dispatch, which shares the row's key, goes on beside us."""
    list(Campaign.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _write_tallies(batches: Mapping[int, _Locked], decision: _Decision, now: datetime) -> None:
    tallies = _by_batch(decision.moves)
    counters.move_batches(tallies, decision.segments)
    counters.rest_batches([pk for pk in sorted(tallies) if BATCH.targets(BatchState(batches[pk].state), Actor.TALLY)])
    write_statistics(tallies, decision.segments)
    _move_counters(batches, tallies, now)


def _move_counters(batches: Mapping[int, _Locked], tallies: Mapping[int, Counter[str]], now: datetime) -> None:
    deltas: dict[int, Counter[str]] = defaultdict(Counter)
    for batch_id, tally in tallies.items():
        deltas[batches[batch_id].campaign_id].update(tally)  # adds
    if len(deltas) > 1:
        _lock_campaigns(sorted(deltas))
    if ended := counters.move_campaigns(deltas):
        settle_status(ended, now)
