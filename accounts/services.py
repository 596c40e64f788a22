"""Credentials, senders, and the account that a demonstration uses."""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.choices import Mode, Role, Scope, SenderKind, SenderStatus
from accounts.models import Account, ApiKey, Membership, SenderId, User
from smsapp.exceptions import AccountSuspended, SenderNotAllowed, ValidationError

logger = logging.getLogger(__name__)

KEY_PATTERN = re.compile(r"sms_(live|test)_([a-z0-9]{10})_([A-Za-z0-9_-]{43})\Z")
LAST_USED_STEP = 60  # seconds between two writes of last_used_at
_PREFIX_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}\Z")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_SHORT_CODE = re.compile(r"[0-9]{3,8}\Z")


@dataclass(frozen=True, slots=True)
class DemoAccount:
    account: Account
    user: User
    username: str
    password: str
    api_key: str
    sender: str


def issue_api_key(
    account: Account, user: User, name: str, mode: Mode = Mode.LIVE, scopes: Iterable[Scope] = tuple(Scope)
) -> tuple[ApiKey, str]:
    """A new key and its text, `sms_<mode>_<prefix>_<secret>`, which is shown now and can never be read again."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(10))
    secret = secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        account=account,
        user=user,
        name=name,
        mode=mode,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=[scope.value for scope in scopes],
    )
    return key, f"sms_{mode}_{prefix}_{secret}"


def find_api_key(text: str) -> ApiKey | None:
    """The usable key behind a text, or None; takes the same time whether the prefix or the secret is wrong."""
    match = KEY_PATTERN.match(text)
    if match is None:
        return None
    key = ApiKey.objects.select_related("account", "user").filter(prefix=match[2], mode=match[1]).first()
    expected = key.secret_hash if key else _hash("")
    if not hmac.compare_digest(expected, _hash(match[3])) or key is None or not key.is_usable:
        return None
    return key


def note_use(key: ApiKey, now: datetime) -> None:
    """Keep `last_used_at` true to a minute, at one write a minute."""
    if key.last_used_at is None or (now - key.last_used_at).total_seconds() > LAST_USED_STEP:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def revoke_api_key(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())


def require_active(account: Account) -> None:
    """Raises AccountSuspended for an account that an operator holds."""
    if not account.is_active:
        raise AccountSuspended("This account is on hold and cannot send. Please contact the operator.")


def hold_account(account: Account) -> None:
    """Stop an account's sending; when this returns, no gateway call begins for it any more.

    The row is written twice: at once, so that nothing new begins, and again under the lock that conflicts with the
    one dispatch takes before it commits an attempt (`messaging/bulk.py`), which waits for those under way.
    """
    Account.objects.filter(pk=account.pk).update(is_active=False)
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        locked.is_active = False
        locked.save(update_fields=["is_active", "updated_at"])
    account.is_active = False
    logger.warning("account %s is on hold", account.pk)


def sender_kind(value: str) -> SenderKind:
    """Raises ValidationError naming `sender_id` if it is no alphanumeric sender, number or short code."""
    if _SHORT_CODE.match(value):
        return SenderKind.SHORT_CODE
    if _NUMBER.match(value):
        return SenderKind.NUMBER
    if _ALPHANUMERIC.match(value):
        return SenderKind.ALPHANUMERIC
    raise ValidationError(
        "A sender is 1 to 11 letters, digits and spaces with at least one letter, "
        "a number in international format, or a short code of 3 to 8 digits.",
        "sender_id",
        value,
    )


def request_sender(account: Account, value: str) -> SenderId:
    """Ask for a sender; an operator approves it. Asking twice is the same as asking once."""
    sender, _ = SenderId.objects.get_or_create(account=account, value=value, defaults={"kind": sender_kind(value)})
    return sender


def approve_sender(sender: SenderId, by: User) -> SenderId:
    return _decide_sender(sender, SenderStatus.APPROVED)


def reject_sender(sender: SenderId, by: User, note: str = "") -> SenderId:
    return _decide_sender(sender, SenderStatus.REJECTED, note)


def require_sender(account: Account, value: str) -> None:
    """An empty sender leaves the choice to the provider. Raises ValidationError or SenderNotAllowed."""
    if not value:
        return
    sender_kind(value)
    if not account.sender_ids.filter(value=value, status=SenderStatus.APPROVED).exists():
        raise SenderNotAllowed("This sender is not approved for your account.", "sender_id", value)


@transaction.atomic
def ensure_demo_account(password: str | None = None, api_key: str | None = None) -> DemoAccount:
    """The demo account with its user, an approved sender and an API key.

    A password and a key from before are kept if they still work, so that running again changes nothing.
    """
    account, _ = Account.objects.get_or_create(name="Demo", defaults={"default_country": "DE"})
    user, _ = User.objects.get_or_create(
        username="demo", defaults={"email": "demo@example.com", "is_staff": True, "is_superuser": True}
    )
    if not password or not user.check_password(password):
        password = password or secrets.token_urlsafe(9)
        user.set_password(password)
        user.save(update_fields=["password"])
    Membership.objects.get_or_create(account=account, user=user, defaults={"role": Role.OWNER})
    sender = approve_sender(request_sender(account, "DemoShop"), user)
    key = find_api_key(api_key) if api_key else None
    if api_key is None or key is None or key.account_id != account.pk:
        _, api_key = issue_api_key(account, user, "Demo key")
    return DemoAccount(account, user, user.username, password, api_key, sender.value)


def _decide_sender(sender: SenderId, status: SenderStatus, note: str = "") -> SenderId:
    sender.status = status
    sender.note = note
    sender.decided_at = timezone.now()
    sender.save(update_fields=["status", "note", "decided_at"])
    return sender


def _hash(secret: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), b"api-key:" + secret.encode(), hashlib.sha256).hexdigest()
