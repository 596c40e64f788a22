"""What an account decides about itself."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.models import Account, User
from accounts.security import audit


def change_account(account: Account, by: User, changes: Mapping[str, Any]) -> Account:
    """Change fields that an account decides about itself, by name; others stay."""
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        before = {name: _shown(getattr(locked, name)) for name in changes}
        for name, value in changes.items():
            setattr(locked, name, value)
        after = {name: _shown(getattr(locked, name)) for name in changes}
        if before != after:
            locked.save(update_fields=[*changes, "updated_at"])
            audit.record(
                "account.changed",
                account=locked,
                by=by,
                target_type="account",
                target_id=str(locked.pk),
                before=before,
                after=after,
            )
    return locked


def _shown(value: Any) -> Any:
    """Return the account's fields as the audit log holds them."""
    return value if value is None or isinstance(value, int | str) else str(value)
