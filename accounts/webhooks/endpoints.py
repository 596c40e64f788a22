"""An account's endpoints: create, change, test, enable, replay; and the callback URLs of sends.

Addresses are looked up before the transaction that saves them.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from accounts.choices import EndpointKind, EventType, WebhookState
from accounts.models import Account, User, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.security import audit
from accounts.security.encryption import decrypt, encrypt
from accounts.webhooks import destinations
from accounts.webhooks.outbox import TASK, write
from accounts.webhooks.signing import new_secret
from smsapp.core import clock
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import AlreadyExists, CallbackUrlNotAllowed, InvalidState, NotFound, ValidationError
from smsapp.core.purge import Purged, remove_oldest
from smsapp.lib.sentences import Sentence

MAX_ENDPOINTS = 10  # of an account in one mode
OLD_SECRET_FOR = timedelta(hours=24)
REPLAYS_A_SECOND = 10  # of one endpoint
MAX_REPLAYED = 10_000  # by one call
KEPT_FOR = timedelta(days=30)  # bodies, whatever their outcome
CALLBACK_KEPT_FOR = timedelta(days=400)  # an unused callback URL: campaigns are scheduled up to a year ahead
ROWS_AT_ONCE = 1000  # in one statement

#: What an endpoint can choose; a ping is always sent when it is requested.
CHOOSABLE = tuple(kind for kind in EventType if kind is not EventType.PING)


def create(
    account: Account,
    mode: str,
    by: User,
    url: str,
    *,
    event_types: Sequence[str] = (),
    description: str = "",
    show_numbers: bool = False,
) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint. Return it and its secret, which is shown now only. Raises an SmsappError."""
    _check_types(event_types)
    destinations.check_url(url)
    secret = new_secret()
    try:
        with transaction.atomic():
            Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # two at once count one another
            if _of(account, mode).filter(kind=EndpointKind.ENDPOINT).count() >= MAX_ENDPOINTS:
                raise InvalidState(
                    _("An account has at most %(max)d endpoints.") % {"max": MAX_ENDPOINTS}, max=MAX_ENDPOINTS
                )
            endpoint = WebhookEndpoint.objects.create(
                account=account,
                mode=mode,
                kind=EndpointKind.ENDPOINT,
                endpoint_id=_new_id(),
                url=url,
                event_types=sorted(set(event_types)),
                description=description,
                show_numbers=show_numbers,
                secret=encrypt(secret),
            )
            _note("webhook.created", endpoint, by, after=_facts(endpoint))
    except IntegrityError as error:
        raise _taken(url) from error
    return endpoint, secret


def change(endpoint: WebhookEndpoint, by: User, changes: dict[str, Any]) -> WebhookEndpoint:
    """Change `url`, `event_types`, `description` or `show_numbers`. A callback URL keeps its address and types."""
    if endpoint.kind == EndpointKind.CALLBACK and {"url", "event_types"} & set(changes):
        raise InvalidState(_("The sends that name a callback URL set its address and events."))
    _check_types(changes.get("event_types", ()))
    if changes.get("url", endpoint.url) != endpoint.url:
        destinations.check_url(changes["url"])
    try:
        with transaction.atomic():
            locked = _locked(endpoint)
            before = _facts(locked)
            for name, value in changes.items():
                setattr(locked, name, sorted(set(value)) if name == "event_types" else value)
            locked.save(update_fields=[*changes, "updated_at"])
            if (after := _facts(locked)) != before:
                _note("webhook.changed", locked, by, before=before, after=after)
    except IntegrityError as error:
        raise _taken(changes["url"]) from error
    return locked


def remove(endpoint: WebhookEndpoint, by: User) -> None:
    """Remove an endpoint with its log and everything that waits for it."""
    with transaction.atomic():
        locked = _locked(endpoint)
        _note("webhook.removed", locked, by, before=_facts(locked))
        while _remove_deliveries(locked.deliveries.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
            pass
        locked.delete()


def rotate_secret(endpoint: WebhookEndpoint, by: User) -> tuple[WebhookEndpoint, str]:
    """Return a new secret, shown now only. The old one also signs for 24 hours."""
    if endpoint.kind == EndpointKind.CALLBACK:
        raise InvalidState(_("Callback URLs are signed with the callback secret of the account."))
    secret = new_secret()
    with transaction.atomic():
        locked = _locked(endpoint)
        locked.old_secret, locked.old_secret_until = locked.secret, clock.about_now() + OLD_SECRET_FOR
        locked.secret = encrypt(secret)
        locked.save(update_fields=["secret", "old_secret", "old_secret_until", "updated_at"])
        _note("webhook.secret_rotated", locked, by)
    return locked, secret


def enable(endpoint: WebhookEndpoint, by: User) -> WebhookEndpoint:
    """Switch an endpoint on again. What failed meanwhile can be replayed."""
    destinations.check_url(endpoint.url)
    with transaction.atomic():
        locked = _locked(endpoint)
        if not locked.is_active:
            _note("webhook.enabled", locked, by, before={"disabled_reason": locked.disabled_reason.english})
        _reset(locked)
    enqueue(TASK)
    return locked


def ping(endpoint: WebhookEndpoint, by: User) -> WebhookDelivery:
    """Send a test event. Raises InvalidState if the endpoint is switched off."""
    _require_active(endpoint)
    with transaction.atomic():
        (delivery,) = write([(endpoint.pk, EventType.PING, {"endpoint_id": endpoint.endpoint_id})])
        _note("webhook.tested", endpoint, by)
    return delivery


def replay(delivery: WebhookDelivery, by: User | None) -> WebhookDelivery:
    """Send an event again: the same id and body, a new timestamp. Its tries begin anew."""
    endpoint = delivery.endpoint
    _require_active(endpoint)
    with transaction.atomic():
        now = clock.about_now()
        ended = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(state=WebhookState.WAITING)
        if not ended.update(state=WebhookState.WAITING, attempt_count=0, next_attempt_at=now, delivered_at=None):
            raise InvalidState(_("This event is still waiting to be delivered."), current_status=WebhookState.WAITING)
        _note("webhook.replayed", endpoint, by, after={"event_id": delivery.event_id})
        enqueue(TASK)
    delivery.refresh_from_db()
    return delivery


def replay_failed(endpoint: WebhookEndpoint, by: User | None, since: datetime) -> int:
    """Send the failed events since then again, the oldest first, ten a second. Return their number.

    At most MAX_REPLAYED, so a caller who gets that number asks again.
    """
    _require_active(endpoint)
    with transaction.atomic():
        _locked(endpoint)
        failed = endpoint.deliveries.filter(state=WebhookState.FAILED, created_at__gte=since).order_by("pk")
        rows = list(failed.only("endpoint")[:MAX_REPLAYED])  # otherwise Django queries it row by row
        now = clock.about_now()
        for index, row in enumerate(rows):
            row.state, row.attempt_count = WebhookState.WAITING, 0
            row.next_attempt_at = now + timedelta(seconds=index // REPLAYS_A_SECOND)
        WebhookDelivery.objects.bulk_update(
            rows, ["state", "attempt_count", "next_attempt_at"], batch_size=ROWS_AT_ONCE
        )
        _note("webhook.failed_replayed", endpoint, by, after={"since": since.isoformat(), "count": len(rows)})
        enqueue(TASK)
    return len(rows)


# --- Callback URLs of sends -------------------------------------------------------------------------------


def check_callback(account: Account, mode: str, url: str) -> None:
    """Check the `callback_url` of a send.

    One that is in use is looked up when it is called, not here, so that a send waits for a name server once. Raises
    CallbackUrlNotAllowed naming `callback_url`.
    """
    try:
        destinations.target_of(url)
    except CallbackUrlNotAllowed as error:
        raise destinations.refusal("callback_url", url) from error
    if not _of(account, mode).filter(kind=EndpointKind.CALLBACK, url=url, is_active=True).exists():
        destinations.check_url(url, "callback_url")


def use_callback(account: Account, mode: str, url: str) -> None:
    """Have results sent to the callback URL of a send, in its transaction.

    One that was switched off is on again: somebody relies on it.
    """
    endpoint, is_new = WebhookEndpoint.objects.get_or_create(
        account=account, mode=mode, kind=EndpointKind.CALLBACK, url=url, defaults={"endpoint_id": _new_id()}
    )
    if is_new:
        callback_secret(account)
    elif not endpoint.is_active:
        _reset(endpoint)
    elif endpoint.updated_at < clock.about_now() - timedelta(days=1):
        endpoint.save(update_fields=["updated_at"])  # it is in use, so purging leaves it


def callback_secret(account: Account) -> str:
    """Return the secret that signs calls of the account's callback URLs; made on first use."""
    stored = Account.objects.values_list("callback_secret", flat=True)
    if not stored.get(pk=account.pk):
        Account.objects.filter(pk=account.pk, callback_secret="").update(callback_secret=encrypt(new_secret()))
    return decrypt(stored.get(pk=account.pk))


def rotate_callback_secret(account: Account, by: User) -> str:
    """Return a new secret. The old one also signs for 24 hours."""
    secret = new_secret()
    with transaction.atomic():
        locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        WebhookEndpoint.objects.filter(account=account, kind=EndpointKind.CALLBACK).update(
            old_secret=locked.callback_secret, old_secret_until=clock.about_now() + OLD_SECRET_FOR
        )
        locked.callback_secret = encrypt(secret)
        locked.save(update_fields=["callback_secret", "updated_at"])
        audit.record(
            "webhook.callback_secret_rotated", account=account, by=by, target_type="account", target_id=str(account.pk)
        )
    return secret


def signing_secrets(endpoint: WebhookEndpoint) -> list[str]:
    """Return the secrets that sign a call, the newest first. Raises SecretUnreadable."""
    stored = [endpoint.secret or endpoint.account.callback_secret]
    if endpoint.old_secret and endpoint.old_secret_until and endpoint.old_secret_until > clock.about_now():
        stored.append(endpoint.old_secret)
    return [decrypt(text) for text in stored]


# --- Housekeeping -----------------------------------------------------------------------------------------


def purge_events(now: datetime) -> Purged:
    """Remove events older than they are kept, with their tries."""
    return remove_oldest(WebhookDelivery.objects.filter(created_at__lt=now - KEPT_FOR), "created_at", _remove_attempts)


def purge_callbacks(now: datetime) -> Purged:
    """Remove callback URLs that nobody has used for long."""
    unused = WebhookEndpoint.objects.filter(kind=EndpointKind.CALLBACK, updated_at__lt=now - CALLBACK_KEPT_FOR)
    used = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"))
    return remove_oldest(unused.filter(~Exists(used)), "updated_at")


def _remove_attempts(deliveries: Iterable[int]) -> None:
    WebhookAttempt.objects.filter(delivery__in=list(deliveries)).delete()


def _remove_deliveries(keys: Iterable[int]) -> int:
    chosen = list(keys)
    _remove_attempts(chosen)
    WebhookDelivery.objects.filter(pk__in=chosen).delete()
    return len(chosen)


def _reset(endpoint: WebhookEndpoint) -> None:
    """Clear every trace of failures."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        is_active=True,
        disabled_at=None,
        disabled_reason=Sentence(""),
        failing_since=None,
        failure_count=0,
        slow_until=None,
        told_failing_at=None,
        updated_at=clock.about_now(),
    )
    endpoint.refresh_from_db()


def _of(account: Account, mode: str) -> Any:
    return WebhookEndpoint.objects.filter(account=account, mode=mode)


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    locked = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True).filter(pk=endpoint.pk).first()
    if locked is None:
        raise NotFound(_("There is no such endpoint."))
    return locked


def _require_active(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_active:
        raise InvalidState(
            _("The endpoint is switched off (%(reason)s). Enable it first.")
            % {"reason": str(endpoint.disabled_reason).rstrip(".")},
            current_status="disabled",
            allowed=["active"],
        )


def _check_types(event_types: Sequence[str]) -> None:
    for index, name in enumerate(event_types):
        if name not in CHOOSABLE:
            raise ValidationError(_("There is no such event type."), f"event_types[{index}]", name)


def _taken(url: str) -> AlreadyExists:
    return AlreadyExists(_("There is already an endpoint with this address."), "url", url)


def _new_id() -> str:
    return f"we_{secrets.token_hex(10)}"


def _facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "show_numbers": endpoint.show_numbers,
    }


def _note(action: str, endpoint: WebhookEndpoint, by: User | None, *, before: Any = None, after: Any = None) -> None:
    audit.record(
        action,
        account=endpoint.account,
        by=by,
        target_type="webhook",
        target_id=endpoint.endpoint_id,
        before=before,
        after=after,
    )
