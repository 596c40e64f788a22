"""The outbox: finished bodies, written in the transaction of the change, only where an endpoint listens.

One row is one body for one endpoint. Its event id is the header `webhook-id`: the same at every try and replay.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.db import transaction

from accounts.choices import EndpointKind
from accounts.models import WebhookDelivery, WebhookEndpoint
from smsapp.core import clock
from smsapp.core.enqueue import enqueue

TASK = "accounts.deliver_webhooks"


def emit(account_id: int, mode: str, event_type: str, data: Mapping[str, Any]) -> None:
    """Emit an event to the account's endpoints of this mode that chose its type, in the caller's transaction.

    `data`: JSON types, times as ISO 8601 in UTC. One query if nobody listens.
    """
    endpoints = [
        endpoint
        for endpoint in WebhookEndpoint.objects.filter(
            account_id=account_id, mode=mode, kind=EndpointKind.ENDPOINT, is_active=True
        )
        if wants(endpoint.event_types, event_type)
    ]
    write([(endpoint.pk, event_type, data) for endpoint in endpoints])


def wants(chosen: Iterable[str], event_type: str) -> bool:
    """Return whether an endpoint with these types gets an event: no types means all."""
    chosen = list(chosen)
    return not chosen or event_type in chosen


def write(events: Iterable[tuple[int, str, Mapping[str, Any]]]) -> list[WebhookDelivery]:
    """Store events as (endpoint, type, data) and enqueue their delivery on commit."""
    now = clock.about_now()
    rows = [
        WebhookDelivery(
            endpoint_id=endpoint_id,
            event_id=new_event_id(),
            event_type=event_type,
            body=body_of(event_type, data),
            next_attempt_at=now,
            created_at=now,
        )
        for endpoint_id, event_type, data in events
    ]
    if rows:
        with transaction.atomic():
            WebhookDelivery.objects.bulk_create(rows)
            enqueue(TASK)
    return rows


def body_of(event_type: str, data: Mapping[str, Any]) -> str:
    """Return the body as it is signed and sent: type, time of the event, data."""
    moment = clock.about_now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return orjson.dumps({"type": event_type, "timestamp": moment, "data": data}).decode()


def new_event_id() -> str:
    return f"evt_{secrets.token_hex(12)}"
