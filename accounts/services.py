"""Holding an account, and the account that a demonstration uses. Keys and senders have files of their own."""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.access.api_keys import Issuer, issue_api_key, match_api_key
from accounts.choices import Mode, Role, Scope, SenderStatus
from accounts.models import Account, Membership, User
from accounts.security import audit
from accounts.senders import approve_sender, request_sender
from smsapp.core.exceptions import AccountSuspended

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DemoAccount:
    account: Account
    user: User
    username: str
    password: str
    api_key: str
    sender: str


def require_active(account: Account) -> None:
    """Raises AccountSuspended for an account that an operator holds."""
    if not account.is_active:
        raise AccountSuspended("This account is on hold and cannot send. Please contact the operator.")


def hold_account(account: Account, by: User | None = None, reason: str = "") -> None:
    """Stop an account's sending; when this returns, no gateway call begins for it any more.

    The row is written twice: at once, so that nothing new begins, and again under the lock that conflicts with the
    one dispatch takes before it commits an attempt (`messaging/storage/message_rows.py`), which waits for those under
    way.
    """
    Account.objects.filter(pk=account.pk).update(is_active=False)
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        locked.is_active = False
        locked.save(update_fields=["is_active", "updated_at"])
        _record("held", account, by, reason)
    account.is_active = False
    logger.warning("account %s is on hold", account.pk)


def release_account(account: Account, by: User | None = None) -> None:
    """Let a held account send again."""
    with transaction.atomic():
        Account.objects.filter(pk=account.pk).update(is_active=True, hold_reason="")
        _record("released", account, by)
    account.is_active = True
    logger.warning("account %s is released", account.pk)


def change_account(account: Account, by: User, changes: Mapping[str, Any]) -> Account:
    """Change fields that an account decides on itself, by name; what is left out stays."""
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        before = {name: _shown(getattr(locked, name)) for name in changes}
        for name, value in changes.items():
            setattr(locked, name, value)
        after = {name: _shown(getattr(locked, name)) for name in changes}
        if before != after:
            locked.save(update_fields=[*changes, "updated_at"])
            audit.record(
                "account.changed", account=locked, by=by, target_type="account", target_id=str(locked.pk),
                before=before, after=after,
            )  # fmt: skip
    return locked


@transaction.atomic
def ensure_demo_account(password: str | None = None, api_key: str | None = None) -> DemoAccount:
    """The demo account with its user, an approved sender and an API key that may everything.

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
    sender, _ = request_sender(account, "DemoShop", user)
    if sender.status != SenderStatus.APPROVED:
        approve_sender(sender, user)
    key = match_api_key(api_key) if api_key else None
    if api_key is None or key is None or key.account_id != account.pk or not key.is_usable:
        issuer = Issuer(account, user, Mode.LIVE, frozenset(Scope))
        _, api_key = issue_api_key(issuer, "Demo key", Mode.LIVE, scopes=Scope)
    return DemoAccount(account, user, user.username, password, api_key, sender.value)


def _record(verb: str, account: Account, by: User | None, reason: str = "") -> None:
    audit.record(
        f"account.{verb}", account=account, by=by, target_type="account", target_id=str(account.pk),
        after={"reason": reason} if reason else None,
    )  # fmt: skip


def _shown(value: Any) -> Any:
    """As the audit log holds it."""
    return value if value is None or isinstance(value, int | str) else str(value)
