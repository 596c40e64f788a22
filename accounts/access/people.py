"""What people change about themselves, and the names they sign in with."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from accounts.models.people import normal_email
from accounts.security import audit
from smsapp.core.exceptions import AlreadyExists


def username_of(login: str) -> str:
    """Return the user name for this name or e-mail address; the given text if it is nobody's."""
    if User.objects.filter(username=login).exists():
        return login
    found = User.objects.filter(email=normal_email(login)).values_list("username", flat=True).first() if login else None
    return found or login


def change_profile(person: User, account: Account, changes: Mapping[str, Any]) -> None:
    """Change name and e-mail address. Raises AlreadyExists for somebody else's address."""
    before = person.email
    for name, value in changes.items():
        setattr(person, name, value)
    try:
        with transaction.atomic():
            person.save(update_fields=[*changes, "updated_at"])
            if person.email != before:
                audit.record(
                    "user.email_changed",
                    account=account,
                    by=person,
                    target_type="user",
                    target_id=person.username[:60],
                    before={"email": before},
                    after={"email": person.email},
                )
    except IntegrityError as error:
        raise AlreadyExists(_("Another user has this address."), "email", person.email) from error
