"""Who belongs to an account, and in which role. Owners and admins decide; owners only about owners."""

import secrets
from dataclasses import dataclass

from django.contrib.auth.tokens import default_token_generator
from django.db import IntegrityError, transaction
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts import audit
from accounts.choices import Role
from accounts.models import Account, Membership, User
from smsapp.exceptions import AlreadyExists, InvalidState, PermissionDenied

MANAGING_ROLES = (Role.OWNER, Role.ADMIN)
MAX_MEMBERS = 500


@dataclass(frozen=True, slots=True)
class Invited:
    """`uid` and `token` make the address at which a new person chooses a password; empty for who has one already."""

    membership: Membership
    uid: str = ""
    token: str = ""


def manages(membership: Membership) -> bool:
    return Role(membership.role) in MANAGING_ROLES


def add_member(by: Membership, email: str, role: Role) -> Invited:
    """Take a person in, who is made if nobody has this e-mail address yet. Raises PermissionDenied, AlreadyExists, or
    InvalidState for a full account."""
    _require_power(by, role)
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=by.account_id)
        if Membership.objects.filter(account=account).count() >= MAX_MEMBERS:
            raise InvalidState(f"An account has {MAX_MEMBERS} members at most.", max=MAX_MEMBERS)
        person = User.objects.filter(email__iexact=email).first() or _made(email)
        if Membership.objects.filter(account=account, user=person).exists():
            raise AlreadyExists("This person belongs to the account already.", "email", email)
        membership = Membership.objects.create(account=account, user=person, role=role)
        _record("added", membership, by, after={"role": role.value})
    if person.has_usable_password():
        return Invited(membership)
    return Invited(
        membership, urlsafe_base64_encode(force_bytes(person.pk)), default_token_generator.make_token(person)
    )


def change_role(membership: Membership, by: Membership, role: Role) -> Membership:
    """Raises PermissionDenied, or InvalidState for the last owner."""
    with transaction.atomic():
        locked = _locked(membership, by)
        _require_power(by, Role(locked.role), role)
        if locked.role == Role.OWNER and role != Role.OWNER:
            _require_another_owner(locked)
        before, locked.role = locked.role, role
        locked.save(update_fields=["role"])
        _record("role_changed", locked, by, {"role": before}, {"role": role.value})
    return locked


def remove_member(membership: Membership, by: Membership) -> None:
    """Their keys end with their membership. Raises PermissionDenied, or InvalidState for the last owner."""
    with transaction.atomic():
        locked = _locked(membership, by)
        _require_power(by, Role(locked.role))
        if locked.role == Role.OWNER:
            _require_another_owner(locked)
        _record("removed", locked, by, before={"role": locked.role})
        locked.delete()


def _made(email: str) -> User:
    """A person who has to choose a password before they can sign in."""
    name = email.partition("@")[0][:120] or "member"
    if User.objects.filter(username__iexact=name).exists():
        name = f"{name}-{secrets.token_hex(3)}"
    person = User(username=name, email=email)
    person.set_unusable_password()
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError as error:
        raise AlreadyExists("Somebody else was just added with this address; try again.", "email", email) from error
    return person


def _locked(membership: Membership, by: Membership) -> Membership:
    """Under the account's lock, so that two owners cannot remove one another at once."""
    Account.objects.select_for_update(no_key=True).get(pk=by.account_id)
    return Membership.objects.select_related("account", "user").get(pk=membership.pk, account=by.account_id)


def _require_power(by: Membership, *roles: Role) -> None:
    if not manages(by):
        raise PermissionDenied("Only an owner or an admin manages the team.")
    if Role.OWNER in roles and by.role != Role.OWNER:
        raise PermissionDenied("Only an owner decides about owners.")


def _require_another_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(account=membership.account_id, role=Role.OWNER).exclude(pk=membership.pk)
    if not owners.exists():
        raise InvalidState("An account needs an owner: make somebody else one first.")


def _record(
    verb: str, membership: Membership, by: Membership, before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:  # fmt: skip
    audit.record(
        f"member.{verb}", account=membership.account, by=by.user, target_type="member",
        target_id=membership.user.username[:60], before=before, after=after,
    )  # fmt: skip
