"""The audit log: who did what to what, before and after, from where. Written in the transaction of the act.

Seconds later, a task seals the events: each gets a position and a hash over the hash before it, keyed with a key that
the database holds encrypted only (`own_keys.py`). So `verify` finds a row that was changed, removed or inserted
afterwards. How far the log was sealed is recorded outside the database (`audit_witness.py`), which reveals a cut-off
end. Sealing is separate from writing because a chain has one end: acts that extended it themselves would wait for one
another.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from django.db import transaction

from accounts.models import Account, AuditEvent, User
from accounts.security import audit_witness, own_keys
from accounts.security.audit_witness import Head
from accounts.security.encryption import SecretUnreadable
from accounts.system_state import SystemState
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.context import current_call

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE = 200
SECONDS_AT_ONCE = 5.0
SEALED_WITHIN = timedelta(minutes=10)  # after it was written; a task seals every half minute
CHAIN_LOCK = "audit_chain"  # the row is the lock under which the chain grows, its value the last seal


def _load_head(text: str) -> Head:
    position, _, last = text.partition(":")
    return Head(int(position or 0), last)


_HEAD = SystemState(
    CHAIN_LOCK,
    "Position and hash of the last sealed audit event.",
    load=_load_head,
    dump=lambda head: f"{head.position}:{head.hash}",
)


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
    """Record one act, e.g. `campaign.paused` on `campaign` `bulk-…`. `by`: None for the service itself.

    `before` and `after` hold what changed, as JSON types, never a secret or a text. Address, request id and key are
    those of the current call.
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
    """Seal what was written, and record the new head outside the database. Return the number of events."""
    budget = Budget(SECONDS_AT_ONCE)
    sealed = 0
    while not budget.is_over and (count := _seal_some()):
        sealed += count
    if sealed:
        _note_head()
    return sealed


def accept(by: str) -> Head:
    """Accept the log as it stands, as after a backup was put back. Doing so is an event itself."""
    lost = [":".join(map(str, one)) for one in audit_witness.seen() if not contains(one)]
    record("audit.accepted", account=None, by=None, target_type="audit", after={"by": by, "not_contained": lost})
    while _seal_some():
        pass
    audit_witness.record_mark(head())
    return head()


def _note_head() -> None:
    """Record the head, unless the log lacks the recorded one: that proves that something was taken away."""
    if lost := [one for one in audit_witness.seen() if not contains(one)]:
        logger.error("the audit log does not contain what was sealed as %s:%s: run manage.py audit_check", *lost[0])
    else:
        audit_witness.record_mark(head())


def _seal_some() -> int:
    with transaction.atomic():
        position, last = _HEAD.lock()
        chain = _Chain.of(own_keys.stored(own_keys.AUDIT, lambda: f"{position}:{secrets.token_hex(32)}"))
        events = list(AuditEvent.objects.filter(position=None).order_by("pk")[:EVENTS_AT_ONCE])
        for event in events:
            position += 1
            last = event.hash = chain.hash(last, position, event)
            event.position = position
        AuditEvent.objects.bulk_update(events, ["position", "hash"])
        if events:
            _HEAD.put(Head(position, last))
    return len(events)


class Fault(NamedTuple):
    """Where the chain breaks, and how."""

    position: int
    problem: str


def verify() -> Iterator[Fault]:
    """Walk the whole chain and yield each place where it breaks.

    Nothing is yielded for an untouched, sealed log that contains the head recorded outside the database.
    """
    position, last, chain = 0, "", _Chain.of("")
    try:
        chain = _Chain.of(own_keys.find(own_keys.AUDIT))
    except SecretUnreadable as error:
        yield Fault(0, str(error))
    if not chain.key and head().position:
        yield Fault(0, "the key of the chain is gone: anybody could have made it anew")
    for event in AuditEvent.objects.filter(position__isnull=False).order_by("position").iterator(EVENTS_AT_ONCE):
        assert event.position is not None
        if event.position != position + 1:
            yield Fault(position + 1, f"{event.position - position - 1} events are missing")
        if event.hash != chain.hash(last, event.position, event):
            yield Fault(event.position, "the event was changed, or one before it")
        position, last = event.position, event.hash
    if head() != (position, last):
        yield Fault(position, f"the chain ends here, and was sealed up to {head().position}")
    for noted in audit_witness.seen():
        if not contains(noted):
            yield Fault(noted.position, "the log does not contain the seal that was noted outside the database")
    yield from _not_sealed()


def contains(seal: Head) -> bool:
    return not seal.position or AuditEvent.objects.filter(position=seal.position, hash=seal.hash).exists()


def head() -> Head:
    """Return the last sealed event; (0, "") if there is none."""
    return _HEAD.get()


def _not_sealed() -> Iterator[Fault]:
    late = AuditEvent.objects.filter(position=None, created_at__lt=clock.now() - SEALED_WITHIN)
    if count := late.count():
        yield Fault(head().position, f"{count} events wait to be sealed for more than {SEALED_WITHIN}: sealing is off")


class _Chain(NamedTuple):
    """How events are hashed: up to `plain_until` without a key, as in earlier versions."""

    plain_until: int
    key: bytes

    @classmethod
    def of(cls, text: str) -> "_Chain":
        plain_until, _, key = text.partition(":")
        return cls(int(plain_until or 0), key.encode())

    def hash(self, last: str, position: int, event: AuditEvent) -> str:
        content = last.encode() + _content(position, event)
        if position <= self.plain_until:
            return hashlib.sha256(content).hexdigest()
        return hmac.new(self.key, content, hashlib.sha256).hexdigest()


def _content(position: int, event: AuditEvent) -> bytes:
    row = [
        position,
        event.pk,
        event.account_id,
        event.user_id,
        event.api_key_prefix,
        event.action,
        event.target_type,
        event.target_id,
        event.before,
        event.after,
        event.ip_address,
        event.request_id,
        int(event.created_at.timestamp() * 1_000_000),
    ]
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
