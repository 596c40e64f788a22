"""The account that demonstrations use."""

import secrets
from dataclasses import dataclass

from django.db import transaction

from accounts.access.api_keys import Issuer, issue_api_key, match_api_key
from accounts.choices import Mode, Role, Scope, SenderStatus
from accounts.models import Account, Membership, User
from accounts.senders import approve_sender, request_sender


@dataclass(frozen=True, slots=True)
class DemoAccount:
    account: Account
    user: User
    username: str
    password: str
    api_key: str
    sender: str


@transaction.atomic
def ensure_demo_account(password: str | None = None, api_key: str | None = None) -> DemoAccount:
    """The demo account with its user, an approved sender and an API key of every scope.

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
