"""`apply`, the one writer of what happened to messages.

Answers, pushed and polled delivery reports, look-ups, deadlines and our own decisions all arrive here as Facts,
in bulk, in any order and any number of times. In one transaction:

1. lock the batches concerned, in id order: a batch's row is the lock of its messages;
2. read the messages and decide every move from the tables in `choices.py`;
3. write messages, delivery reports and batch tallies;
4. move the campaign counters, last, so that their lock is held for the shortest time.

A fact that changes nothing (repeated, late, out of order) is dropped without harm.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from campaigns.models import Campaign
from campaigns.services import pause_for_gateway, settle_status
from messaging import bulk, clock
from messaging.bulk import MessageChange, StoredMessage
from messaging.choices import (
    ACCEPTED,
    CONTROL_MOVES,
    FACT_MOVES,
    LATE_REFUSAL_MOVES,
    BatchState,
    FactSource,
    MessageStatus,
    Reason,
)
from messaging.gateways.base import Report
from messaging.identity import batch_of, number_of
from messaging.models import Batch, DeliveryReport

logger = logging.getLogger(__name__)

MAX_PRICE = 10**6  # more for one message is no price

Moves = Mapping[MessageStatus, frozenset[MessageStatus]]


@dataclass(frozen=True, slots=True)
class Fact:
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


@dataclass(slots=True)
class _Decision:
    changes: dict[int, MessageChange]
    reports: list[DeliveryReport]
    moves: Counter[tuple[int, MessageStatus, MessageStatus]]  # (message number, from, to)
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


def apply(facts: Sequence[Fact], moves: Moves = FACT_MOVES) -> Applied:
    """Move messages as the facts say. `moves` is FACT_MOVES, or CONTROL_MOVES for decisions of our own."""
    if not facts:
        return Applied()
    now = clock.now()
    with transaction.atomic():
        batches = _lock_batches({batch_of(fact.number) for fact in facts})
        known = bulk.read_messages({fact.number for fact in facts if batch_of(fact.number) in batches})
        decision = _decide(facts, known, moves, now)
        bulk.update_messages(sorted(decision.changes.values()))
        DeliveryReport.objects.bulk_create(decision.reports)
        _move_tallies(decision.moves)
        _move_counters(batches, decision.moves, now)
    changed = sum(decision.moves.values())
    return Applied(changed, len(facts) - changed - decision.unmatched, decision.unmatched)


def apply_late_refusals(reports: Sequence[Report]) -> Applied:
    """A provider may take a message and report later that it refuses our account (no credit). Then that message is
    not delivered, and its running campaign is paused before the others go the same way."""
    numbers = {number: report for report in reports if (number := number_of(report.message_id)) is not None}
    facts = [
        Fact(number, MessageStatus.UNDELIVERED, FactSource.PUSH, report.reason, report.error_code, report)
        for number, report in numbers.items()
    ]
    applied = apply(facts, LATE_REFUSAL_MOVES)
    if applied.changed:
        batches = Batch.objects.filter(pk__in={batch_of(number) for number in numbers})
        campaigns = sorted(set(batches.values_list("campaign_id", flat=True)))
        detail = f"The gateway refuses our account: {next(iter(numbers.values())).provider_status}"

        def pause() -> None:
            for campaign_id in campaigns:
                pause_for_gateway(campaign_id, detail)

        transaction.on_commit(pause)
    return applied


def control(numbers: Iterable[int], status: MessageStatus, reason: Reason, detail: str = "") -> Applied:
    """Apply one decision of our own (a control move) to messages that are in no call."""
    facts = [Fact(number, status, FactSource.DEADLINE, reason, detail) for number in numbers]
    return apply(facts, CONTROL_MOVES)


def resting_state(batch: Batch) -> BatchState:
    """The state of a batch that nobody holds, from its tally."""
    if batch.unknown:
        return BatchState.UNKNOWN
    return BatchState.READY if batch.queued else BatchState.DONE


def _lock_batches(ids: set[int]) -> dict[int, Batch]:
    return {batch.pk: batch for batch in Batch.objects.filter(pk__in=ids).order_by("pk").select_for_update()}


def _decide(facts: Sequence[Fact], known: Mapping[int, StoredMessage], moves: Moves, now: datetime) -> _Decision:
    current = {number: MessageStatus(stored.status) for number, stored in known.items()}
    decision = _Decision({}, [], Counter(), 0)
    for fact in facts:
        status = current.get(fact.number)
        if status is None:
            decision.unmatched += 1
            continue
        target = _target(fact, status)
        if target not in moves.get(status, frozenset()):
            if fact.status in ACCEPTED and status not in FACT_MOVES and status is not MessageStatus.DELIVERED:
                logger.error("message %s is %s, yet the provider has it", fact.number, status.label)
            continue
        earlier = decision.changes.get(fact.number)
        sent_at = earlier.sent_at if earlier else known[fact.number].sent_at
        decision.changes[fact.number] = _change(fact, target, sent_at, now)
        decision.moves[fact.number, status, target] += 1
        # An accepting answer is told by the attempt; a refusing one is the provider's last word on the message.
        if fact.report and (fact.source is not FactSource.ANSWER or fact.status is MessageStatus.REJECTED):
            decision.reports.append(_delivery_report(fact, fact.report, target, now))
        current[fact.number] = target
    return decision


def _target(fact: Fact, status: MessageStatus) -> MessageStatus:
    """A provider that took a message and refuses it later did have it: that is undelivered, not rejected."""
    if fact.status is MessageStatus.REJECTED and status is MessageStatus.SENT:
        return MessageStatus.UNDELIVERED
    return fact.status


def _change(fact: Fact, target: MessageStatus, sent_at: datetime | None, now: datetime) -> MessageChange:
    happened_at = fact.report.done_at if fact.report and fact.report.done_at else now
    if target in ACCEPTED and sent_at is None:
        sent_at = min(now, happened_at)
    open_still = target in (MessageStatus.QUEUED, MessageStatus.UNKNOWN, MessageStatus.SENT)
    return MessageChange(
        fact.number, target, fact.reason, _fit(fact.detail, 120), sent_at, None if open_still else happened_at
    )


def _delivery_report(fact: Fact, report: Report, target: MessageStatus, now: datetime) -> DeliveryReport:
    price = report.price
    return DeliveryReport(
        message_id=fact.number,
        status=target,
        reason=fact.reason,
        source=fact.source,
        provider_status=_fit(report.provider_status, 60),
        error_code=_fit(report.error_code, 20),
        error_description=_fit(report.error_description, 200),
        price=price if price is None or abs(price) < MAX_PRICE else None,
        currency=_fit(report.currency, 3),
        done_at=report.done_at,
        received_at=now,
    )


def _fit(text: str, length: int) -> str:
    """A provider's text as the database takes it: PostgreSQL refuses NUL, and one odd report must not stop others."""
    return text.replace("\x00", "")[:length]


def _move_tallies(moves: Counter[tuple[int, MessageStatus, MessageStatus]]) -> None:
    by_batch: dict[int, Counter[str]] = defaultdict(Counter)
    for (number, old, new), count in moves.items():
        by_batch[batch_of(number)][old.label] -= count
        by_batch[batch_of(number)][new.label] += count
    bulk.move_tallies(Batch, by_batch)
    bulk.rest_batches(sorted(by_batch))


def _move_counters(
    batches: Mapping[int, Batch], moves: Counter[tuple[int, MessageStatus, MessageStatus]], now: datetime
) -> None:
    deltas: dict[int, Counter[str]] = defaultdict(Counter)
    for (number, old, new), count in moves.items():
        campaign_id = batches[batch_of(number)].campaign_id
        deltas[campaign_id][old.label] -= count
        deltas[campaign_id][new.label] += count
    if not deltas:
        return
    ids = sorted(deltas)
    # No key of a campaign changes: dispatch, which shares the row's key, goes on beside us.
    list(Campaign.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    bulk.move_tallies(Campaign, deltas)
    settle_status(ids, now)
