"""How well gateways do for numbers with a prefix: measured every minute from calls and delivery reports.

Each gateway's weight is cut to a share:

    bad    its share is halved, down to LEAST: enough to show that it works again
    good   its share grows by STEP

Bad are calls that often fail, far fewer deliveries than usual there, and slow reports. They are judged beside the other
gateways for the same prefix, so that a country's bad day is nobody's fault. A gateway with too few messages to be
judged grows again, since nothing shows that it is bad.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum

from messaging.choices import AttemptState
from messaging.models import Attempt, Batch, RouteHealth
from messaging.models.gateways import FULL_SHARE
from smsapp.core import clock

logger = logging.getLogger(__name__)

WINDOW = timedelta(minutes=30)  # of batches that are measured
MOST = 20_000  # newest batches and calls that are looked at, so that the cost does not grow with the tables
SETTLED = timedelta(minutes=2)  # after which most of a batch's reports are in
CALLS_WINDOW = timedelta(minutes=5)
ENOUGH = 50  # fewest messages that are judged
ENOUGH_CALLS = 5
FAILING = 0.3  # share of calls
WORSE_BY = 0.15  # share of messages, delivered less or silent more than the best of the others
ALONE_DELIVERED = 0.3  # lowest share delivered by a gateway that has no others beside it
LEAST, STEP = 5, 25


@dataclass(frozen=True, slots=True)
class Measured:
    """What one gateway did for numbers with one prefix."""

    sent: int = 0
    delivered: int = 0
    undelivered: int = 0
    silent: int = 0
    calls: int = 0
    failed_calls: int = 0

    @property
    def delivered_share(self) -> float:
        return self.delivered / self.sent if self.sent else 0.0

    @property
    def silent_share(self) -> float:
        return self.silent / self.sent if self.sent else 0.0

    @property
    def is_enough(self) -> bool:
        return self.sent >= ENOUGH


def measure() -> int:
    """Measure, and move shares by a step. Return the number of gateways and prefixes measured."""
    now = clock.now()
    measured = _measured(now)
    known = {(row.gateway, row.prefix): row for row in RouteHealth.objects.all()}
    for (gateway, prefix), one in measured.items():
        others = [other for key, other in measured.items() if key[1] == prefix and key[0] != gateway]
        _write(known.get((gateway, prefix)) or RouteHealth(gateway=gateway, prefix=prefix), one, others, now)
    for key, row in known.items():
        if key not in measured and row.share < FULL_SHARE:
            _write(row, Measured(), [], now)
    return len(measured)


def fault_of(one: Measured, others: Iterable[Measured]) -> str:
    """Return what is wrong with a gateway, in words; empty if nothing."""
    if one.calls >= ENOUGH_CALLS and one.failed_calls >= FAILING * one.calls:
        return f"{one.failed_calls} of {one.calls} calls failed"
    if not one.is_enough:
        return ""
    judged = [other for other in others if other.is_enough]
    if not judged:
        few = one.delivered_share < ALONE_DELIVERED and one.silent_share < ALONE_DELIVERED
        return f"only {one.delivered_share:.0%} were delivered" if few else ""
    best = max(other.delivered_share for other in judged)
    if one.silent_share > min(other.silent_share for other in judged) + WORSE_BY:
        return f"{one.silent_share:.0%} are without a report"
    if one.delivered_share < best - WORSE_BY:
        return f"{one.delivered_share:.0%} were delivered, {best:.0%} by another gateway"
    return ""


def next_share(share: int, fault: str) -> int:
    return max(LEAST, share // 2) if fault else min(FULL_SHARE, share + STEP)


def _write(row: RouteHealth, one: Measured, others: Iterable[Measured], now: datetime) -> None:
    fault = fault_of(one, others)
    share = next_share(row.share, fault)
    if share < row.share:
        logger.warning("gateway %s, numbers +%s: %s; its share is now %s %%", row.gateway, row.prefix, fault, share)
    row.share, row.detail, row.measured_at = share, fault, now
    row.sent, row.delivered, row.undelivered = one.sent, one.delivered, one.undelivered
    row.silent, row.failed_calls = one.silent, one.failed_calls
    row.save()


def _measured(now: datetime) -> dict[tuple[str, str], Measured]:
    figures: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    newest = Batch.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    looked_at = Batch.objects.filter(pk__gt=newest - MOST, created_at__gte=now - WINDOW)
    recent = looked_at.exclude(gateway="").order_by()
    settled = Q(created_at__lte=now - SETTLED)
    rows = recent.values_list("gateway", "prefix").annotate(
        delivered=Sum("delivered", filter=settled, default=0),
        undelivered=Sum("undelivered", filter=settled, default=0),
        silent=Sum("sent", filter=settled, default=0),
    )
    for gateway, prefix, delivered, undelivered, silent in rows:
        sent = delivered + undelivered + silent
        figures[gateway, prefix] |= {"sent": sent, "delivered": delivered, "undelivered": undelivered, "silent": silent}
    failed = Q(state__in=(AttemptState.NOT_SENT, AttemptState.UNKNOWN, AttemptState.RESOLVED))
    newest_call = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    calls = Attempt.objects.filter(
        pk__gt=newest_call - MOST, batch__pk__gt=newest - MOST, started_at__gte=now - CALLS_WINDOW
    ).order_by()
    counted = calls.values_list("gateway", "batch__prefix").annotate(
        calls=Count("pk"), failed=Count("pk", filter=failed)
    )
    for gateway, prefix, count, failed_count in counted:
        figures[gateway, prefix] |= {"calls": count, "failed_calls": failed_count}
    return {key: Measured(**values) for key, values in figures.items()}
