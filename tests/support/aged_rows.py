"""Rows of everything that is removed when it is old, of any age."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.sessions.models import Session
from django.db.models import Model
from django.utils import timezone

from accounts.choices import EndpointKind
from accounts.models import ApiUsageLog, IdempotencyKey, Invitation, TokenFamily, WebhookDelivery, WebhookEndpoint
from messaging.models import ProviderReference, ReportInbox
from tests.support.factories import AccountFactory, MembershipFactory

LONG_AGO = timedelta(days=1000)


class Kind(NamedTuple):
    """What one task removes: rows of `model` by the age of `column`; `make` gives so many rows, not stored."""

    model: type[Model]
    column: str
    make: Callable[[int], Sequence[Model]]


def calls(count: int) -> Sequence[Model]:
    return [
        ApiUsageLog(
            endpoint="/messages",
            method="GET",
            status_code=200,
            response_time_ms=3,
            request_size=0,
            response_size=9,
            created_at=timezone.now(),
        )
        for _ in range(count)
    ]


def invitations(count: int) -> Sequence[Model]:
    member, later = MembershipFactory(), timezone.now() + timedelta(days=1)
    return [
        Invitation(
            account=member.account,
            invited_by=member.user,
            email=f"p{n}@example.com",
            token_hash=f"{member.pk}-{n}",
            expires_at=later,
        )
        for n in range(count)
    ]


def keys(count: int) -> Sequence[Model]:
    account = AccountFactory()
    return [
        IdempotencyKey(account=account, mode="live", key=str(n), fingerprint="f", status_code=200) for n in range(count)
    ]


def families(count: int) -> Sequence[Model]:
    member = MembershipFactory()
    later = timezone.now() + timedelta(days=1)
    return [TokenFamily(account=member.account, user=member.user, expires_at=later) for _ in range(count)]


def sessions(count: int) -> Sequence[Model]:
    later = timezone.now() + timedelta(days=1)
    start = Session.objects.count()
    return [Session(session_key=str(start + n), expire_date=later) for n in range(count)]


def callbacks(count: int) -> Sequence[Model]:
    account = AccountFactory()
    return [
        WebhookEndpoint(
            account=account, kind=EndpointKind.CALLBACK, endpoint_id=f"{account.pk}-{n}", url=f"https://x.test/{n}"
        )
        for n in range(count)
    ]


def events(count: int) -> Sequence[Model]:
    (endpoint,) = WebhookEndpoint.objects.bulk_create(callbacks(1))
    return [WebhookDelivery(endpoint=endpoint, event_id=str(n), event_type="ping", body="{}") for n in range(count)]


def bodies(count: int) -> Sequence[Model]:
    return [ReportInbox(gateway="infobip", source="push", body=b"{}", applied_at=timezone.now()) for _ in range(count)]


def references(count: int) -> Sequence[Model]:
    start = ProviderReference.objects.count()
    return [ProviderReference(gateway="twilio", reference=str(start + n), message_id=n) for n in range(count)]


KINDS = {
    "accounts.purge_usage": Kind(ApiUsageLog, "created_at", calls),
    "accounts.purge_idempotency_keys": Kind(IdempotencyKey, "created_at", keys),
    "accounts.purge_tokens": Kind(TokenFamily, "expires_at", families),
    "accounts.purge_sessions": Kind(Session, "expire_date", sessions),
    "accounts.purge_invitations": Kind(Invitation, "expires_at", invitations),
    "accounts.purge_webhooks": Kind(WebhookDelivery, "created_at", events),
    "accounts.purge_callbacks": Kind(WebhookEndpoint, "updated_at", callbacks),
    "messaging.purge": Kind(ReportInbox, "received_at", bodies),
    "messaging.purge_references": Kind(ProviderReference, "created_at", references),
}


def store(kind: Kind, count: int, age: timedelta = timedelta()) -> list[Any]:
    rows = kind.model._default_manager.bulk_create(kind.make(count))
    stored = [row.pk for row in rows]
    if age:
        for start in range(0, count, 1000):
            among = kind.model._default_manager.filter(pk__in=stored[start : start + 1000])
            among.update(**{kind.column: timezone.now() - age})
    return stored
