"""Which bodies can leave now: a few of each endpoint at a time, however many wait for one of them.

Claiming is a lease: it moves `next_attempt_at` to the lease's end, so what a killed process held is simply due again.
The endpoint's row is locked while its bodies are counted and claimed, so all processes together keep to its limit.
"""

import random
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, Q

from accounts.choices import WebhookState
from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.webhooks.destinations import target_of
from smsapp.core.exceptions import CallbackUrlNotAllowed

LEASE = timedelta(seconds=30)  # longer than a call and what surrounds it
IN_FLIGHT = 4  # calls of one endpoint at once
IN_FLIGHT_FAILING = 1  # calls at once of an endpoint whose last call failed
IN_FLIGHT_OF_HOST = 16  # calls of one host by one process, however many endpoints it has
ENDPOINTS_AT_ONCE = 50

_DELIVERIES, _ENDPOINTS = WebhookDelivery._meta.db_table, WebhookEndpoint._meta.db_table

#: Endpoints with something due, found by hopping from one to the next in the index of waiting bodies: the cost grows
#: with the endpoints, not with what waits for each.
_DUE = f"""
WITH RECURSIVE waiting(id) AS (
  SELECT MIN(endpoint_id) FROM {_DELIVERIES} WHERE state = 'waiting'
  UNION ALL
  SELECT (SELECT MIN(endpoint_id) FROM {_DELIVERIES} WHERE state = 'waiting' AND endpoint_id > waiting.id)
  FROM waiting WHERE waiting.id IS NOT NULL
)
SELECT e.id FROM waiting JOIN {_ENDPOINTS} e ON e.id = waiting.id
WHERE e.is_active AND (e.slow_until IS NULL OR e.slow_until <= %s) AND EXISTS (
  SELECT 1 FROM {_DELIVERIES} d
  WHERE d.endpoint_id = e.id AND d.state = 'waiting' AND d.next_attempt_at <= %s
)
ORDER BY RANDOM() LIMIT %s
"""  # noqa: S608  (made of the names of tables)


@dataclass(frozen=True, slots=True)
class Claim:
    """A body that this process alone can send until its lease ends. `owner`: of the lease. `host`: that is called."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    owner: str
    host: str


def claim(owner: str, now: datetime, capacity: int, calls_of: Counter[str]) -> list[Claim]:
    """Claim due bodies, at most `capacity`. `calls_of`: calls under way in this process, by host."""
    due = _due_endpoints(now)
    if not due or capacity <= 0:
        return []
    lease = f"{owner}:{secrets.token_hex(4)}"[:80]
    with transaction.atomic():
        rows = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        ready = rows.filter(Q(slow_until=None) | Q(slow_until__lte=now), pk__in=due, is_active=True)
        endpoints = list(ready.select_related("account"))
        random.shuffle(endpoints)  # no endpoint is always first while there is little capacity
        in_flight = _in_flight(endpoints, now)
        chosen: list[int] = []
        calls = Counter(calls_of)
        for endpoint in endpoints:
            host = host_of(endpoint.url)
            limit = IN_FLIGHT_FAILING if endpoint.failing_since else IN_FLIGHT
            free = min(limit - in_flight[endpoint.pk], IN_FLIGHT_OF_HOST - calls[host], capacity - len(chosen))
            if free > 0:
                taken = _next_of(endpoint, now, free)
                calls[host] += len(taken)
                chosen += taken
        WebhookDelivery.objects.filter(pk__in=chosen, state=WebhookState.WAITING).update(
            lease_owner=lease, lease_until=now + LEASE, next_attempt_at=now + LEASE
        )
        leased = list(WebhookDelivery.objects.filter(pk__in=chosen, lease_owner=lease).order_by("pk"))
    by_key = {endpoint.pk: endpoint for endpoint in endpoints}
    return [
        Claim(delivery, endpoint := by_key[delivery.endpoint_id], lease, host_of(endpoint.url)) for delivery in leased
    ]


def host_of(url: str) -> str:
    """Return the host that calls are counted by; the URL itself if it names none that we would call."""
    try:
        return target_of(url).host
    except CallbackUrlNotAllowed:
        return url


def _due_endpoints(now: datetime) -> list[int]:
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [moment, moment, ENDPOINTS_AT_ONCE])
        return [row[0] for row in cursor.fetchall()]


def _in_flight(endpoints: Iterable[WebhookEndpoint], now: datetime) -> Counter[int]:
    """Count the leased bodies of each endpoint; their next attempt is the lease's end, which the index knows."""
    leased = WebhookDelivery.objects.filter(
        endpoint__in=endpoints,
        state=WebhookState.WAITING,
        lease_until__gt=now,
        next_attempt_at__gt=now,
        next_attempt_at__lte=now + LEASE,
    )
    return Counter(dict(leased.values_list("endpoint").annotate(Count("pk")).order_by()))


def _next_of(endpoint: WebhookEndpoint, now: datetime, count: int) -> list[int]:
    due = WebhookDelivery.objects.filter(endpoint=endpoint, state=WebhookState.WAITING, next_attempt_at__lte=now)
    return list(due.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:count])
