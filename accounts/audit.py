"""The audit log: who did what to what, before and after, from where. Written in the transaction of the act.

A task seals what was written, seconds later: events get a position and a hash over the hash
before them, so that a row changed, removed or slipped in afterwards is found by `verify`. Sealing is apart from writing
because a chain has one end: acts that extended it themselves would wait for one another.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from django.db import transaction

from accounts.models import Account, AuditEvent, Setting, User
from smsapp.middleware import current_call

EVENTS_AT_ONCE = 200
SECONDS_AT_ONCE = 5.0
CHAIN_LOCK = "audit_chain"  # a Setting; its row is the lock under which the chain grows, its value the last seal


def record(
    action: str,
    *,
    account: Account | None,
    by: User | None,
    target_type: str = "",
    target_id: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note one act, e.g. `campaign.paused` on `campaign` `bulk-…`. `by`: None for the service itself.

    `before` and `after` hold what changed, of JSON types, never a secret or a text. Address, request id and key are
    those of the call under way.
    """
    call = current_call()
    AuditEvent.objects.create(
        account=account,
        user=by,
        api_key_prefix=call.api_key_prefix,
        action=action,
        target_type=target_type,
        target_id=target_id,
        before=dict(before or {}),
        after=dict(after or {}),
        ip_address=call.ip_address or None,
        request_id=call.request_id,
    )


def seal() -> int:
    """Seal what is old enough; how many events."""
    stop_at = time.monotonic() + SECONDS_AT_ONCE
    sealed = 0
    while time.monotonic() < stop_at and (count := _seal_some()):
        sealed += count
    return sealed


def _seal_some() -> int:
    with transaction.atomic():
        Setting.objects.get_or_create(
            key=CHAIN_LOCK,
            defaults={
                "value": "0:",
                "is_fixed": True,
                "description": "Position and hash of the last sealed audit event.",
            },
        )
        end = Setting.objects.select_for_update().get(key=CHAIN_LOCK)
        position, last = _end_of(end)
        events = list(AuditEvent.objects.filter(position=None).order_by("pk")[:EVENTS_AT_ONCE])
        for event in events:
            position += 1
            last = event.hash = _hash(last, position, event)
            event.position = position
        AuditEvent.objects.bulk_update(events, ["position", "hash"])
        if events:
            end.value = f"{position}:{last}"
            end.save(update_fields=["value", "updated_at"])
    return len(events)


class Fault(NamedTuple):
    """Where the chain does not hold, and how."""

    position: int
    problem: str


def verify() -> Iterator[Fault]:
    """Walk the whole chain; yields each place where it does not hold. Nothing is yielded for an untouched log.

    Who can write to the database and knows this file can make a new chain: keep `head()` elsewhere, too.
    """
    position, last = 0, ""
    for event in AuditEvent.objects.filter(position__isnull=False).order_by("position").iterator(EVENTS_AT_ONCE):
        assert event.position is not None
        if event.position != position + 1:
            yield Fault(position + 1, f"{event.position - position - 1} events are missing")
        if event.hash != _hash(last, event.position, event):
            yield Fault(event.position, "the event was changed, or one before it")
        position, last = event.position, event.hash
    if head() != (position, last):
        yield Fault(position, f"the chain ends here, and was sealed up to {head()[0]}")


def head() -> tuple[int, str]:
    """Position and hash of the last sealed event; (0, "") if there is none."""
    end = Setting.objects.filter(key=CHAIN_LOCK).first()
    return _end_of(end) if end else (0, "")


def _end_of(end: Setting) -> tuple[int, str]:
    position, _, last = end.value.partition(":")
    return int(position), last


def _hash(last: str, position: int, event: AuditEvent) -> str:
    row = [
        position, event.pk, event.account_id, event.user_id, event.api_key_prefix, event.action, event.target_type,
        event.target_id, event.before, event.after, event.ip_address, event.request_id,
        int(event.created_at.timestamp() * 1_000_000),
    ]  # fmt: skip
    return hashlib.sha256(last.encode() + orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hexdigest()
