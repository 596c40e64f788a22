"""Delivery reports in: the raw body is committed first, applied in batches afterwards, kept for some days."""

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.db import Error, connection, transaction
from django.urls import reverse

from accounts import hold
from messaging import bulk, clock, gateways, optouts, references, settlement
from messaging.choices import FactSource, Reason
from messaging.gateways.base import GatewayError, Report
from messaging.identity import number_of
from messaging.models import ReportInbox
from smsapp.apart import apart
from smsapp.outages import is_outage
from smsapp.wake import wake

logger = logging.getLogger(__name__)

BODIES_AT_ONCE = 100
REPORTS_AT_ONCE = 2000  # in one transaction: of single sends each has a batch and a campaign of its own to move
SECONDS_AT_ONCE = 1.0  # shares its worker process with single sends, which must not wait longer
GATHER = 0.25  # seconds from a push to its application: others that come meanwhile share the transaction
POLL_LIMIT = 1000
REMATCH_AFTER = 45.0  # seconds: with the beat's own interval, a report has found its message within 60
REMATCHED_AT_ONCE = 500  # bodies
MAX_FAILURE_COUNT = 10_000
_NOTED = ("applied_at", "report_count", "unmatched_count", "rematch_at", "failure_count", "next_attempt_at", "error")


class _Reading(NamedTuple):
    """What a body says; `foreign_count` of its reports are on ids that are not ours."""

    body: ReportInbox
    reports: Sequence[Report]
    facts: Sequence[settlement.Fact]
    foreign_count: int


def report_url(gateway: str) -> str:
    """Where this gateway's provider pushes delivery reports; empty when it could not reach us and we poll."""
    base = settings.PUBLIC_URL
    if not base and gateways.is_local(gateway):
        base = f"http://127.0.0.1:{settings.PORT}"
    path = reverse("delivery-reports", args=[gateway, gateways.callback_token(gateway)])
    return base + path if base else ""


def receive(gateway: str, source: FactSource, body: bytes, report_count: int) -> None:
    """Commit a body; raises DatabaseError if that fails, and then nobody may be told it was received.

    Outside any transaction: one statement that commits by itself, half the way of one with BEGIN and COMMIT. Nor is the
    connection tried before: the statement finds out that it is gone, and is given a new one. A body that was stored
    twice by that does no harm.
    """
    store = partial(bulk.insert_body, gateway, source, body, report_count)
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        store()
    except Error:
        connection.close_if_unusable_or_obsolete()
        if connection.connection is not None:  # it works: it is the server that refuses
            raise
        store()
    wake("messaging.apply_reports", after=GATHER)


def apply_waiting() -> int:
    """Apply waiting bodies until none is left or the time is over; how many messages they changed."""
    stop_at = time.monotonic() + SECONDS_AT_ONCE
    changed = 0
    while (count := _apply_some()) is not None:
        changed += count
        if time.monotonic() >= stop_at:
            wake("messaging.apply_reports")
            break
    return changed


def _apply_some() -> int | None:
    """Bodies with about REPORTS_AT_ONCE reports in one transaction; None if none is waiting."""
    taken: list[int] = []
    try:
        with transaction.atomic():
            now = clock.now()
            bodies = _take_waiting(now)
            taken = [body.pk for body in bodies]
            return _apply(bodies, now) if bodies else None
    except Exception as error:
        if is_outage(error):  # nobody's fault, and beat comes again
            raise
        logger.exception("report bodies %s cannot be applied together", taken)
    return sum(_apply_alone(pk) for pk in taken)


def _take_waiting(now: datetime) -> list[ReportInbox]:
    """The first that nobody else has locked. Bodies are large: only those are read that are taken."""
    waiting = ReportInbox.objects.filter(applied_at=None, next_attempt_at__lte=now).order_by("pk")
    sizes = list(waiting.values_list("pk", "report_count")[:BODIES_AT_ONCE])
    while sizes:
        portion: list[int] = []
        reports = 0
        while sizes and reports < REPORTS_AT_ONCE:
            pk, count = sizes.pop(0)
            portion.append(pk)
            reports += count
        if bodies := list(waiting.filter(pk__in=portion).select_for_update(skip_locked=True).defer("body")):
            texts = bulk.read_bodies([body.pk for body in bodies])
            for body in bodies:
                body.body = texts[body.pk]
            return bodies
    return []


def _apply_alone(pk: int) -> int:
    """One body of several that broke together; it is put off if it breaks by itself, and stops no other."""
    try:
        with transaction.atomic():
            return _apply(list(ReportInbox.objects.filter(pk=pk, applied_at=None).select_for_update()), clock.now())
    except Exception as error:
        if is_outage(error):
            raise
        logger.exception("report body %s cannot be applied", pk)
        body = ReportInbox.objects.get(pk=pk)
        _put_off(body, f"It cannot be applied: {type(error).__name__}", clock.now())
        body.save(update_fields=["failure_count", "next_attempt_at", "error"])
        return 0


def _apply(bodies: Sequence[ReportInbox], now: datetime) -> int:
    """Apply bodies we hold locked, and note what became of each; how many messages that changed."""
    readings = [_reading_of(body, _read(body, now)) for body in bodies]
    changed, absent = _apply_reports(readings, now)
    unremarkable: list[int] = []
    for reading in readings:
        body, report_count = reading.body, len(reading.reports)
        _count_unmatched(reading, absent, now)
        if (
            body.applied_at
            and report_count == body.report_count
            and not body.unmatched_count
            and not body.failure_count
        ):
            unremarkable.append(body.pk)
        else:
            body.report_count = report_count
            body.save(update_fields=_NOTED)
    ReportInbox.objects.filter(pk__in=unremarkable).update(applied_at=now)
    return changed


def _reading_of(body: ReportInbox, reports: Sequence[Report]) -> _Reading:
    return _Reading(body, reports, *settlement.facts_from(reports, FactSource(body.source)))


def _apply_reports(readings: Sequence[_Reading], now: datetime) -> tuple[int, set[int]]:
    """How many messages changed, and the numbers of ours that have no message."""
    facts = [fact for reading in readings for fact in reading.facts]
    refused = [report for reading in readings for report in reading.reports if report.account_refused]
    if refused:
        settlement.lock_for({fact.number for fact in facts} | _numbers(refused))
    applied = settlement.apply(facts, at=now)
    changed = applied.changed
    left = [report for reading in readings for report in reading.reports if report.reason is Reason.OPTED_OUT]
    if left:
        optouts.heed_provider(left)
    absent: set[int] = set()
    if applied.unmatched or refused:
        absent = _absent(report for reading in readings for report in reading.reports)
    if applied.unmatched:
        changed += settlement.apply(facts).changed  # a message may have come into being just now
    return changed + settlement.apply_late_refusals(refused).changed, absent


def _numbers(reports: Iterable[Report]) -> set[int]:
    return {number for report in reports if (number := number_of(report.message_id)) is not None}


def _absent(reports: Iterable[Report]) -> set[int]:
    numbers = _numbers(reports)
    return numbers - bulk.read_messages(numbers).keys()


def _read(body: ReportInbox, now: datetime) -> list[Report]:
    """The reports in a body; one that cannot be read is put off and shown to the operator, and harms no other."""
    try:
        reports = _parse(body)
    except (ValueError, LookupError) as error:
        _put_off(body, str(error), now)
        logger.exception("report body %s cannot be read", body.pk)
        return []
    body.applied_at = now
    body.error = ""
    return reports


def _parse(body: ReportInbox) -> list[Report]:
    reports = gateways.get(body.gateway).parse_reports(bytes(body.body))
    return references.only_of(body.gateway, references.with_our_ids(body.gateway, reports))


def _put_off(body: ReportInbox, error: str, now: datetime) -> None:
    body.failure_count = min(body.failure_count + 1, MAX_FAILURE_COUNT)
    body.error = error[:300]
    body.next_attempt_at = now + timedelta(minutes=2 ** min(body.failure_count, 6))  # an hour: it may be our defect


def _count_unmatched(reading: _Reading, absent: Collection[int], now: datetime) -> None:
    """Reports on ids that are not ours, and on ids of ours that have no message or a provider's own that nobody knows:
    only these may find one later."""
    orphans = sum(number_of(report.message_id) in absent for report in reading.reports) if absent else 0
    orphans += (nameless := sum(not report.message_id for report in reading.reports))
    reading.body.unmatched_count = reading.foreign_count - nameless + orphans
    reading.body.rematch_at = now + timedelta(seconds=REMATCH_AFTER) if orphans else None


def rematch() -> int:
    """Try reports again whose messages did not exist: a standby may lag behind, a restored database catch up. How
    many messages that changed."""
    stop_at = time.monotonic() + settings.TASK_BUDGET
    due = ReportInbox.objects.filter(rematch_at__lte=clock.now()).order_by("rematch_at").defer("body")
    changed = 0
    for body in due[:REMATCHED_AT_ONCE]:
        if time.monotonic() >= stop_at:
            break
        changed += apart(_rematch, body) or 0
    return changed


def _rematch(seen: ReportInbox) -> int:
    """The next time is set before anything is tried, so that a body that breaks holds up no other. Without a new
    message nothing is locked."""
    now = clock.now()
    next_time = now + timedelta(seconds=REMATCH_AFTER)
    if not ReportInbox.objects.filter(pk=seen.pk, rematch_at=seen.rematch_at).update(rematch_at=next_time):
        return 0
    body = ReportInbox.objects.get(pk=seen.pk)
    reading = _reading_of(body, _parse(body))
    _count_unmatched(reading, _absent(reading.reports), now)
    if body.unmatched_count == seen.unmatched_count:
        return 0
    with transaction.atomic():
        changed, absent = _apply_reports([reading], now)
        _count_unmatched(reading, absent, now)
        body.save(update_fields=["unmatched_count", "rematch_at"])
    logger.warning("report body %s: %s messages have come into being and are reported", body.pk, changed)
    return changed


def poll() -> int:
    """Fetch waiting reports of every gateway, one body after the other; how many bodies.

    The provider hands each report out once: the body is committed before the next is asked for. What a crash
    in between loses comes back by look-up. Nothing while sending is held: a copy would take them from the original.
    """
    if hold.is_held():
        return 0
    stop_at = time.monotonic() + settings.TASK_BUDGET
    bodies = 0
    for name in gateways.known():
        try:
            while time.monotonic() < stop_at:
                body = gateways.get(name).poll_reports(POLL_LIMIT)
                if body is None:
                    break
                receive(name, FactSource.POLL, body, gateways.get(name).count_reports(body))
                bodies += 1
        except GatewayError as error:
            logger.info("polling %s: %s", name, error.detail)
    return bodies
