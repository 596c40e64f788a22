"""Delivery reports: the raw body is committed first, applied in batches afterwards, and kept for some days."""

import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection, transaction
from django.db.models import Q, QuerySet
from django.urls import reverse

from accounts.security import sending_hold
from messaging.choices import FactSource, Reason
from messaging.gateways import registry
from messaging.gateways.base import GatewayError, Report
from messaging.ids import parse_public_id
from messaging.models import ReportInbox
from messaging.outcomes import late_refusals, provider_opt_outs, readings, settlement
from messaging.outcomes.readings import Reading
from messaging.routing import rotation
from messaging.storage import message_rows, report_rows
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_batched
from smsapp.core.purge import Purged, remove_oldest
from smsapp.database.errors import is_outage

logger = logging.getLogger(__name__)

BODIES_AT_ONCE = 1000
REPORTS_AT_ONCE = 2000  # in one transaction; each single send has its own batch and campaign to move
SECONDS_AT_ONCE = 1.0  # shares its worker process with single sends, which must not wait longer
GATHER = 0.25  # seconds from a push to its application: pushes that arrive meanwhile share the transaction
POLL = "poll"
POLL_LIMIT = 1000
POLLED_AT_ONCE = 8  # gateways that may hang before others wait for the next round
POLL_PAUSE = 60.0  # seconds without polling a gateway that did not answer
REMATCH_AFTER = 45.0  # seconds; with the task's own interval, a report finds its message within 60
NOTED_AT_ONCE = 500  # bodies that are more than just applied
MAX_FAILURE_COUNT = 10_000
_NOTED = ("applied_at", "report_count", "unmatched_count", "rematch_at", "failure_count", "next_attempt_at", "error")


def report_url(gateway: str) -> str:
    """Return where this gateway's provider pushes delivery reports; empty if it cannot reach us and we poll."""
    base = settings.PUBLIC_URL
    if not base and registry.is_local(gateway):
        base = f"http://127.0.0.1:{settings.PORT}"
    path = reverse("delivery-reports", args=[gateway, registry.callback_token(gateway)])
    return base + path if base else ""


def receive(gateway: str, source: FactSource, body: bytes, report_count: int) -> None:
    """Commit a body. Raises DatabaseError if that fails, and then nobody may be told that it was received.

    One statement outside any transaction commits by itself, at half the price of one with BEGIN and COMMIT. The
    connection is not tested before: the statement notices that it is gone and gets a new one. A body stored twice by
    that does no harm.
    """
    store = partial(report_rows.insert_body, gateway, source, body, report_count)
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        store()
    except Error:
        connection.close_if_unusable_or_obsolete()
        if connection.connection is not None:  # the connection works: the server refuses
            raise
        store()
    enqueue("messaging.apply_reports", after=GATHER)


def apply_waiting() -> int:
    """Apply waiting bodies until none is left or the budget is over. Return the number of messages changed."""
    budget = Budget(SECONDS_AT_ONCE)
    changed = 0
    while (count := _apply_some()) is not None:
        changed += count
        if budget.is_over:
            enqueue("messaging.apply_reports")
            break
    return changed


def _apply_some() -> int | None:
    """Apply bodies with about REPORTS_AT_ONCE reports in one transaction. Return None if none is waiting."""
    taken: list[int] = []
    try:
        with transaction.atomic():
            now = clock.now()
            bodies = _take_waiting(now)
            taken = [body.pk for body in bodies]
            return _apply(bodies, now) if bodies else None
    except Exception as error:
        if is_outage(error):  # nobody's fault, and the task runs again
            raise
        logger.exception("report bodies %s cannot be applied together", taken)
    return sum(_apply_alone(pk) for pk in taken)


def _take_waiting(now: datetime) -> list[ReportInbox]:
    """Lock the longest waiting bodies that nobody else has locked."""
    return _take(
        ReportInbox.objects.filter(applied_at=None, next_attempt_at__lte=now).order_by("next_attempt_at", "pk")
    )


def _take(waiting: QuerySet[ReportInbox]) -> list[ReportInbox]:
    """Lock bodies with about REPORTS_AT_ONCE reports, and read these: bodies are large.

    The first ones that wait say how many that may be, whoever has them: bodies locked and not used are kept from
    others.
    """
    sizes = waiting.values_list("report_count", flat=True)[:BODIES_AT_ONCE]
    if not (limit := _fitting(sizes)):
        return []
    locked = list(waiting.select_for_update(skip_locked=True).values_list("pk", "report_count")[:limit])
    fitting = _fitting(report_count for _, report_count in locked)
    return report_rows.read_bodies([pk for pk, _ in locked[:fitting]])


def _fitting(sizes: Iterable[int]) -> int:
    """Return how many of the first hold at most REPORTS_AT_ONCE reports; at least one if there is one."""
    totals = list(accumulate(sizes))
    return max(min(1, len(totals)), bisect_right(totals, REPORTS_AT_ONCE))


def _apply_alone(pk: int) -> int:
    """Apply one of several bodies that failed together. If it fails by itself it is put off, and stops no other."""
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
    """Apply locked bodies and record the outcome of each. Return the number of messages changed.

    They are marked before batches and campaigns are locked, for which other workers wait. Those with more to say are
    corrected afterwards.
    """
    found = readings.read(bodies)
    good = [reading.body.pk for reading in found if not reading.error]
    ReportInbox.objects.filter(pk__among=good).update(applied_at=now)
    changed, absent = _apply_reports(found, now)
    others: list[ReportInbox] = []
    for reading in found:
        body, report_count = reading.body, len(reading.reports)
        unmatched = _unmatched(reading, absent)
        if not (reading.error or any(unmatched) or body.failure_count or report_count != body.report_count):
            continue
        body.report_count = report_count
        _note_unmatched(body, unmatched, now)
        if reading.error:
            _put_off(body, reading.error, now)
        else:
            body.applied_at, body.error = now, ""
        others.append(body)
    ReportInbox.objects.bulk_update(others, _NOTED, batch_size=NOTED_AT_ONCE)
    return changed


def _apply_reports(found: Sequence[Reading], now: datetime) -> tuple[int, set[int]]:
    """Return how many messages changed, and our ids that have no message or are too early to apply."""
    facts = [fact for reading in found for fact in reading.facts]
    refused = [report for reading in found for report in reading.reports if report.account_refused]
    if refused:
        settlement.lock_for({fact.message_pk for fact in facts} | _message_pks(refused))
    applied = settlement.apply(facts, at=now)
    changed = applied.changed
    left = [report for reading in found for report in reading.reports if report.reason is Reason.OPTED_OUT]
    if left:
        provider_opt_outs.apply(left)
    absent: set[int] = set()
    if applied.unmatched or refused:
        absent = _absent(found)
    if applied.unmatched:
        changed += settlement.apply(facts).changed  # a message may have been stored just now
    return changed + late_refusals.apply_late_refusals(refused).changed, absent


def _message_pks(reports: Iterable[Report]) -> set[int]:
    return {message_pk for report in reports if (message_pk := parse_public_id(report.message_id)) is not None}


def _absent(found: Sequence[Reading]) -> set[int]:
    """Return our ids that have no message, and those refused for our account before their call was recorded."""
    message_pks = _message_pks(report for reading in found for report in reading.reports)
    refused = [report for reading in found for report in reading.reports if report.account_refused]
    early = late_refusals.too_early(refused) if refused else set()
    return early | (message_pks - message_rows.read_messages(message_pks).keys())


def _put_off(body: ReportInbox, error: str, now: datetime) -> None:
    body.failure_count = min(body.failure_count + 1, MAX_FAILURE_COUNT)
    body.error = error[:300]
    # An hour at most: it may be a defect of ours.
    body.next_attempt_at = now + timedelta(minutes=2 ** min(body.failure_count, 6))


def _unmatched(reading: Reading, absent: Collection[int]) -> tuple[int, int]:
    """Count reports on foreign ids, and reports that may find a message later.

    The latter are on ids of ours without a message, too early ones, and those by a provider's own id that nobody knows.
    """
    orphans = sum(parse_public_id(report.message_id) in absent for report in reading.reports) if absent else 0
    nameless = sum(not report.message_id for report in reading.reports) if reading.foreign_count else 0
    return reading.foreign_count - nameless, orphans + nameless


def _note_unmatched(body: ReportInbox, unmatched: tuple[int, int], now: datetime) -> None:
    foreign, orphans = unmatched
    body.unmatched_count = foreign + orphans
    body.rematch_at = now + timedelta(seconds=REMATCH_AFTER) if orphans else None


def rematch() -> int:
    """Try reports again whose messages did not exist. Return the number of messages changed.

    A standby may lag behind, and a restored database catch up.
    """
    budget = Budget(settings.TASK_BUDGET)
    changed = 0
    while bodies := _take_unmatched():
        changed += sum(run_batched(_rematch, bodies))
        if budget.is_over:
            break
    return changed


def _take_unmatched() -> list[ReportInbox]:
    """Lock unmatched bodies. The next time is set before anything is tried, so that a failing body blocks no other."""
    with transaction.atomic():
        now = clock.now()
        bodies = _take(ReportInbox.objects.filter(rematch_at__lte=now).order_by("rematch_at"))
        taken = ReportInbox.objects.filter(pk__in=[body.pk for body in bodies])
        taken.update(rematch_at=now + timedelta(seconds=REMATCH_AFTER))
    return bodies


def _rematch(bodies: Sequence[ReportInbox]) -> list[int]:
    """Apply bodies whose messages exist now; nothing is locked without a new message."""
    read = [reading for reading in readings.read(bodies) if not reading.error]
    absent, now = _absent(read), clock.now()
    found = [reading for reading in read if sum(_unmatched(reading, absent)) != reading.body.unmatched_count]
    if not found:
        return []
    with transaction.atomic():
        changed, absent = _apply_reports(found, now)
        for reading in found:
            _note_unmatched(reading.body, _unmatched(reading, absent), now)
        noted = [reading.body for reading in found]
        ReportInbox.objects.bulk_update(noted, ["unmatched_count", "rematch_at"], batch_size=NOTED_AT_ONCE)
    logger.warning(
        "report bodies %s: %s messages have come into being and are reported", [b.pk for b in noted], changed
    )
    return [changed]


def poll() -> int:
    """Fetch waiting reports of all gateways, several at once, one body of each in turn. Return the number of bodies.

    The provider hands each report out once: the body is committed before the next is fetched. What a crash in between
    loses is looked up. Nothing is fetched while sending is held: a copy would take the reports from the original.
    """
    if sending_hold.is_held():
        return 0
    budget = Budget(settings.TASK_BUDGET)
    waiting = deque(rotation.in_turn(POLL, registry.known()))
    calls: dict[Future[bytes | None], str] = {}
    bodies = 0
    with ThreadPoolExecutor(POLLED_AT_ONCE) as threads:
        while True:
            while waiting and len(calls) < POLLED_AT_ONCE and not budget.is_over:
                name = waiting.popleft()
                if fetch := _fetching(name):
                    calls[threads.submit(fetch)] = name
            if not calls:
                return bodies
            for call in wait(calls, return_when=FIRST_COMPLETED).done:
                name = calls.pop(call)
                if _keep_polled(name, call):
                    bodies += 1
                    waiting.append(name)


def _fetching(name: str) -> Callable[[], bytes | None] | None:
    """Return the call that fetches a gateway's next body, in a thread without a database; None if it cannot."""
    rotation.note_turn(POLL, name)
    try:
        return partial(registry.get(name).poll_reports, POLL_LIMIT)
    except (LookupError, ImproperlyConfigured) as error:
        logger.error("gateway %s cannot be polled: %s", name, error)
        return None


def _keep_polled(name: str, call: Future[bytes | None]) -> bool:
    """Store the body that a call has brought. Return False if it brought none."""
    try:
        body = call.result()
    except GatewayError as error:
        logger.info("polling %s: %s", name, error.detail)
        rotation.pause(POLL, name, POLL_PAUSE)
        return False
    if body is None:
        return False
    receive(name, FactSource.POLL, body, registry.get(name).count_reports(body))
    return True


def purge(now: datetime) -> Purged:
    """Remove bodies that are older than they are kept, applied or not."""
    old = ReportInbox.objects.filter(received_at__lt=now - timedelta(hours=settings.REPORT_INBOX_HOURS))
    return remove_oldest(old, "received_at", before=_log_lost)


def _log_lost(keys: Collection[int]) -> None:
    unmatched = Q(rematch_at__isnull=False) | Q(applied_at=None)
    if lost := ReportInbox.objects.filter(unmatched, pk__in=keys).count():
        logger.error("%s report bodies are removed that could not be read or never found their messages", lost)
