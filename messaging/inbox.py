"""Delivery reports in: the raw body is committed first, applied in batches afterwards, kept for some days."""

import logging
import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from messaging import clock, gateways, settlement
from messaging.choices import FactSource
from messaging.gateways.base import GatewayError, Report
from messaging.identity import number_of
from messaging.models import ReportInbox
from messaging.settlement import Fact
from smsapp.wake import wake

logger = logging.getLogger(__name__)

BODIES_AT_ONCE = 20
REPORTS_AT_ONCE = 1000  # in one transaction: of single sends each has a batch and a campaign of its own to move
SECONDS_AT_ONCE = 1.0  # shares its worker process with single sends, which must not wait longer
POLL_LIMIT = 1000


def report_url(gateway: str) -> str:
    """Where this gateway's provider pushes delivery reports; empty when it could not reach us and we poll."""
    base = settings.PUBLIC_URL
    if not base and gateways.is_local(gateway):
        base = f"http://127.0.0.1:{settings.PORT}"
    path = reverse("delivery-reports", args=[gateway, settings.INFOBIP_CALLBACK_TOKEN])
    return base + path if base else ""


def receive(gateway: str, source: FactSource, body: bytes, report_count: int) -> None:
    """Commit a body; raises DatabaseError if that fails, and then nobody may be told it was received."""
    with transaction.atomic(durable=True):
        ReportInbox.objects.create(gateway=gateway, source=source, body=body, report_count=report_count)
    wake("messaging.apply_reports")


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
    now = clock.now()
    with transaction.atomic():
        waiting = ReportInbox.objects.filter(applied_at=None, next_attempt_at__lte=now).order_by("pk")
        found = list(waiting.select_for_update(skip_locked=True)[:BODIES_AT_ONCE])
        if not found:
            return None
        bodies: list[ReportInbox] = []
        while found and sum(body.report_count for body in bodies) < REPORTS_AT_ONCE:
            bodies.append(found.pop(0))
        facts: list[Fact] = []
        refused: list[Report] = []
        for body in bodies:
            reports = _read(body)
            facts += settlement.facts_from(reports, FactSource(body.source))[0]
            refused += [report for report in reports if report.account_refused]
        applied = settlement.apply(facts)
        settlement.apply_late_refusals(refused)
        ReportInbox.objects.bulk_update(
            bodies,
            ["applied_at", "report_count", "unmatched_count", "failure_count", "next_attempt_at", "error"],
        )
    return applied.changed


def _read(body: ReportInbox) -> list[Report]:
    """The reports in a body; one that cannot be read is put off and shown to the operator, and harms no other."""
    now = clock.now()
    try:
        reports = gateways.get(body.gateway).parse_reports(bytes(body.body))
    except (ValueError, LookupError) as error:
        body.failure_count += 1
        body.error = str(error)[:300]
        body.next_attempt_at = now + timedelta(minutes=2 ** min(body.failure_count, 10))
        logger.exception("report body %s cannot be read", body.pk)
        return []
    body.applied_at = now
    body.report_count = len(reports)
    body.unmatched_count = sum(number_of(report.message_id) is None for report in reports)
    body.error = ""
    return reports


def poll() -> int:
    """Fetch waiting reports of every gateway, one body after the other; how many bodies.

    The provider hands each report out once: the body is committed before the next is asked for. What a crash
    in between loses comes back by look-up.
    """
    stop_at = time.monotonic() + settings.TASK_BUDGET
    bodies = 0
    for name in gateways.names():
        try:
            while time.monotonic() < stop_at:
                body = gateways.get(name).poll_reports(POLL_LIMIT)
                if body is None:
                    break
                receive(name, FactSource.POLL, body, POLL_LIMIT)
                bodies += 1
        except GatewayError as error:
            logger.info("polling %s: %s", name, error.detail)
    return bodies
