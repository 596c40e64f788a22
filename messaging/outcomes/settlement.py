"""`apply`, the only writer of what happens to messages.

Answers, pushed and polled delivery reports, look-ups, deadlines and our own decisions all arrive here as Facts, in
bulk, in any order and any number of times. In one transaction:

1. lock the batches concerned, in id order: a batch's row is the lock of its messages;
2. read the messages and decide every move from the table in `choices.py`;
3. write messages, delivery reports, batch tallies and statistics;
4. move the campaign counters, last, so that their lock is held for the shortest time.

A fact that changes nothing (repeated, late, out of order) is dropped without harm.

A message that a provider accepts and refuses later is undelivered: the provider had it, but does not charge for it, and
neither do we. Its delivery report has the source REFUSAL; a message with one is free, unless it is proven delivered.
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
from campaigns.transitions import settle_status
from messaging.choices import (
    ACCEPTED,
    BATCH,
    MESSAGE,
    NEVER_HANDED_OVER,
    OPEN,
    PROVIDER,
    Actor,
    BatchState,
    FactSource,
    MessageStatus,
    Reason,
)
from messaging.gateways.base import Report
from messaging.ids import batch_of, parse_public_id, public_id
from messaging.models import Batch
from messaging.outcomes import conflicts, segment_drift, webhook_events
from messaging.outcomes.message_prices import is_charged, refused_among
from messaging.storage import counters, message_rows, report_rows
from messaging.storage.message_rows import MessageChange, StoredMessage
from messaging.storage.report_rows import NewReport
from smsapp.core import clock

logger = logging.getLogger(__name__)

MAX_PRICE = 10**6  # more than this for one message is not a price
QUEUED, SENT = MessageStatus.QUEUED, MessageStatus.SENT
#: Closed states that a refusal still applies to, if the provider had accepted the message.
_GIVEN_UP = (MessageStatus.UNCONFIRMED, MessageStatus.UNDELIVERED)
#: Facts about an undelivered message that change what is charged for it.
_CHANGES_CHARGE = (MessageStatus.DELIVERED, MessageStatus.UNDELIVERED, MessageStatus.REJECTED)
#: Reasons that say less than that the operator accepted it.
_SAYS_LESS = (Reason.NONE, Reason.NO_PROOF, Reason.NO_REPORT)
_STATUS = {status.value: status for status in MessageStatus}  # ten times as fast as asking the class


class Fact(NamedTuple):
    """Something we learned or decided about one message. `report`: the provider's word, if it is one."""

    message_pk: int
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
    """What the facts change.

    `moves`: counts by batch, from and to. `segments`: charged from now on, less those no longer charged, by batch.
    `refused`: messages that their provider refused after accepting them.
    """

    changes: dict[int, MessageChange]
    reports: list[NewReport]
    moves: Counter[tuple[int, MessageStatus, MessageStatus]]
    segments: Counter[int]
    unmatched: int
    refused: set[int]


def facts_from(reports: Iterable[Report], source: FactSource) -> tuple[list[Fact], int]:
    """Return reports as facts, and how many are about ids that are not ours.

    A refusal because of our account (no credit, key, route) is no fact about a message: it may be sent later, and
    whoever gets such a report pauses the campaign.
    """
    facts = []
    foreign = 0
    for report in reports:
        message_pk = parse_public_id(report.message_id)
        if message_pk is None:
            foreign += 1
        elif not report.account_refused:
            facts.append(Fact(message_pk, report.status, source, report.reason, report.error_code, report))
    return facts, foreign


def apply(facts: Sequence[Fact], accepted: Sequence[int] = (), at: datetime | None = None) -> Applied:
    """Move messages as the facts say; the table allows each source its own moves.

    `accepted`: messages whose answer says no more than that the provider accepted them. Nearly all do, so those still
    queued go in one statement, at a tenth of the price; for the others it is a fact like any. `at`: the database's
    time, if the caller has just asked for it.
    """
    if not facts and not accepted:
        return Applied()
    now = at or clock.now()
    with transaction.atomic(savepoint=False):
        batches = lock_batches(
            {batch_of(fact.message_pk) for fact in facts} | {batch_of(message_pk) for message_pk in accepted}
        )
        locked = [message_pk for message_pk in accepted if batch_of(message_pk) in batches]
        segments = message_rows.mark_sent(locked, now) if locked else {}
        facts = [
            *facts,
            *(Fact(message_pk, SENT, FactSource.ANSWER) for message_pk in accepted if message_pk not in segments),
        ]
        known = message_rows.read_messages({fact.message_pk for fact in facts if batch_of(fact.message_pk) in batches})
        decision = _decide(facts, known, now)
        segment_drift.note(facts, known, decision.changes)
        message_rows.update_messages(list(decision.changes.values()))
        report_rows.insert_reports(decision.reports)
        campaign_of = {pk: batch.campaign_id for pk, batch in batches.items()}
        webhook_events.emit_events(campaign_of, decision.changes, known, segments, decision.refused, now)
        for message_pk, count in segments.items():
            batch_id = batch_of(message_pk)
            decision.moves[batch_id, QUEUED, SENT] += 1
            decision.segments[batch_id] += count
        _write_tallies(batches, decision, now)
    moved = sum(decision.moves.values())
    return Applied(moved, len(facts) + len(segments) - moved - decision.unmatched, decision.unmatched)


def control(message_pks: Iterable[int], status: MessageStatus, reason: Reason, detail: str = "") -> Applied:
    """Apply one decision of our own to messages that are in no call."""
    return apply([Fact(message_pk, status, FactSource.DECISION, reason, detail) for message_pk in message_pks])


def resting_state(batch: Batch) -> BatchState:
    """Return the state of a batch that nobody holds, by its tally.

    It is ready while anything in it is queued, even beside messages whose outcome is unknown.
    """
    if batch.queued > 0:
        return BatchState.READY
    return BatchState.UNKNOWN if batch.unknown > 0 else BatchState.DONE


def lock_for(message_pks: Iterable[int]) -> None:
    """Lock batches, then campaigns, of everything that several calls of `apply` in one transaction may move."""
    batches = lock_batches({batch_of(message_pk) for message_pk in message_pks})
    _lock_campaigns({batch.campaign_id for batch in batches.values()})


def lock_batches(ids: set[int]) -> dict[int, _Locked]:
    rows = Batch.objects.filter(pk__among=ids).order_by("pk").select_for_update()
    return {pk: _Locked(*row) for pk, *row in rows.values_list("pk", *_Locked._fields)}


def _decide(facts: Sequence[Fact], known: Mapping[int, StoredMessage], now: datetime) -> _Decision:
    current = {message_pk: _STATUS[stored.status] for message_pk, stored in known.items()}
    refused = _refused_before(facts, current)
    decision = _Decision({}, [], Counter(), Counter(), 0, refused)
    for fact in facts:
        message_pk = fact.message_pk
        status = current.get(message_pk)
        if status is None:
            decision.unmatched += 1
            continue
        stored, earlier = known[message_pk], decision.changes.get(message_pk)
        was_taken = stored.was_taken or (earlier is not None and earlier.sent_at is not None)
        fact = _as_told(fact, status, was_taken)
        target = fact.status
        if target is status:
            is_news = _says_more(fact, earlier.reason if earlier else stored.reason, message_pk in refused)
        else:
            is_news = MESSAGE.may(status, target, fact.source) and not _is_stale(fact, status, was_taken)
        if not is_news:
            _note_contradiction(fact, status)
            continue
        batch_id = batch_of(message_pk)
        was_charged = is_charged(status, message_pk in refused)
        if target is not status:
            decision.moves[batch_id, status, target] += 1
        if fact.source is FactSource.REFUSAL:
            refused.add(message_pk)
        more = is_charged(target, message_pk in refused) - was_charged
        if more:
            decision.segments[batch_id] += more * stored.segment_count
        decision.changes[message_pk] = _change(fact, earlier.sent_at if earlier else None, was_taken, now)
        # The attempt shows an accepting answer; a refusing one is the provider's last word on the message.
        if fact.report and (fact.source is not FactSource.ANSWER or target is MessageStatus.REJECTED):
            decision.reports.append(_new_report(fact, fact.report, target, now))
        current[message_pk] = target
    return decision


def _refused_before(facts: Iterable[Fact], current: Mapping[int, MessageStatus]) -> set[int]:
    """Return undelivered messages that the provider refused after accepting them.

    Queried only where a fact may change what is charged for them.
    """
    undelivered = {
        fact.message_pk
        for fact in facts
        if fact.status in _CHANGES_CHARGE and current.get(fact.message_pk) is MessageStatus.UNDELIVERED
    }
    return refused_among(undelivered)


def _as_told(fact: Fact, status: MessageStatus, was_taken: bool) -> Fact:
    """Read a refusal of what the provider had accepted as undelivered: the provider had the message."""
    if fact.status is MessageStatus.REJECTED and (status is SENT or (was_taken and status in _GIVEN_UP)):
        return fact._replace(status=MessageStatus.UNDELIVERED, source=FactSource.REFUSAL)
    return fact


def _is_stale(fact: Fact, status: MessageStatus, was_taken: bool) -> bool:
    """Return whether a fact says no more than what was known when the message was given up.

    For a message that nobody had accepted, a refusal because of our account is no news either.
    """
    if status is not MessageStatus.UNCONFIRMED:
        return False
    return not was_taken if fact.source is FactSource.REFUSAL else was_taken and fact.status is SENT


def _says_more(fact: Fact, reason: str, is_refused: bool) -> bool:
    """Return whether a fact adds something to a message that has its status already.

    It does if the provider refuses the message, or if the operator accepted it, which is not asked for twice.
    """
    if fact.source is FactSource.REFUSAL:
        return not is_refused
    return fact.reason is Reason.NO_RECEIPT and fact.source in PROVIDER and reason in _SAYS_LESS


def _note_contradiction(fact: Fact, status: MessageStatus) -> None:
    """Record that the provider has a message it never got. Its acceptance of one it then refused may come late."""
    is_late = status is MessageStatus.REJECTED and fact.status is SENT
    if fact.status in ACCEPTED and status in NEVER_HANDED_OVER and not is_late:
        what = f"message {public_id(fact.message_pk)} is {status.label}, yet the provider has it"
        conflicts.note_provider(what)


def _change(fact: Fact, sent_at: datetime | None, was_taken: bool, now: datetime) -> MessageChange:
    target = fact.status
    happened_at = fact.report.done_at if fact.report and fact.report.done_at else now
    is_taken = target in ACCEPTED or (target is MessageStatus.UNCONFIRMED and fact.source in PROVIDER)
    if is_taken and not was_taken:
        sent_at = min(now, happened_at)
    done_at = None if target in OPEN else happened_at
    return MessageChange(fact.message_pk, target, fact.reason, _fit(fact.detail, 120), sent_at, done_at)


def _new_report(fact: Fact, report: Report, target: MessageStatus, now: datetime) -> NewReport:
    price = report.price
    return NewReport(
        fact.message_pk,
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
    """Return a provider's text that fits its column. PostgreSQL refuses NUL, and one odd report must stop no other."""
    return text[:length].replace("\x00", "")


def _by_batch(decision: _Decision) -> dict[int, Counter[str]]:
    """Return the changes of each batch's tally; empty for a batch of which only segments change."""
    tallies: dict[int, Counter[str]] = defaultdict(Counter, {batch_id: Counter() for batch_id in decision.segments})
    for (batch_id, old, new), count in decision.moves.items():
        tallies[batch_id][old.label] -= count
        tallies[batch_id][new.label] += count
    return tallies


def write_statistics(tallies: Mapping[int, Mapping[str, int]], segments: Mapping[int, int]) -> None:
    """Record what this transaction changed: signed changes by status, and segments, by batch."""
    counters.insert_deltas(
        [(batch_id, segments.get(batch_id, 0), tally) for batch_id, tally in sorted(tallies.items())]
    )


def _lock_campaigns(ids: Iterable[int]) -> None:
    """Lock campaigns without their keys, so that dispatch, which shares the row's key, goes on beside us."""
    list(Campaign.objects.filter(pk__among=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _write_tallies(batches: Mapping[int, _Locked], decision: _Decision, now: datetime) -> None:
    tallies = _by_batch(decision)
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
