"""Invitations: how a person joins an account.

A member who manages the team invites an e-mail address and passes the link on. Whoever has the link and is signed in as
the person with that address decides whether to join; a new person registers with it and chooses a password. No
invitation ever touches the password of an existing person. It proves possession of the link and nothing else: not that
the address is theirs.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.access import members
from accounts.choices import Role
from accounts.models import Account, Invitation, Membership, User
from accounts.models.people import normal_email
from accounts.security import audit
from smsapp.core import clock
from smsapp.core.exceptions import AlreadyExists, NotFound, PermissionDenied
from smsapp.core.purge import Purged, remove_oldest

GOOD_FOR = timedelta(days=3)
CONSOLE_PERMISSION = "accounts.add_invitation"


def invite(by: Membership, email: str, role: Role) -> tuple[Invitation, str]:
    """Invite an address, and return the secret of the link, which is never shown again; a new one replaces the old one.

    The answer is the same whether a person with this address exists. Raises PermissionDenied, AlreadyExists for a
    member, or InvalidState for a full account.
    """
    members.require_power(by, role)
    return _invite(by.account, email, role, by.user)


def invite_for_operator(account: Account, email: str, role: Role, by: User) -> tuple[Invitation, str]:
    """Like `invite`, by an operator who may invite people to every account."""
    if not by.has_perm(CONSOLE_PERMISSION):
        raise PermissionDenied(_("You need permission in the console to invite people to an account."))
    return _invite(account, email, role, by)


def withdraw(by: Membership, invitation_pk: int) -> None:
    """Withdraw an invitation, so that its link is worthless. Raises NotFound or PermissionDenied."""
    with transaction.atomic():
        invitation = Invitation.objects.select_for_update().filter(pk=invitation_pk, account=by.account_id).first()
        if invitation is None:
            raise NotFound(_("There is no such invitation."))
        members.require_power(by, Role(invitation.role))
        _record("withdrawn", invitation, by.user)
        invitation.delete()


def find(secret: str) -> Invitation:
    """Return the invitation of a link.

    Raises NotFound for one that was used, withdrawn, replaced or has expired, and if its inviter could not invite now.
    """
    invitation = Invitation.objects.select_related("account", "invited_by").filter(token_hash=_hash_of(secret)).first()
    if invitation is None or invitation.is_expired or not _may_still(invitation):
        raise NotFound(_("This invitation was used or withdrawn, or has expired."))
    return invitation


def accept(secret: str, person: User) -> Membership:
    """Join as the person whose address was invited.

    Raises NotFound, PermissionDenied for another person, or AlreadyExists.
    """
    with transaction.atomic():
        invitation = _locked(secret)
        if person.email != invitation.email:
            raise PermissionDenied(_("This invitation is for another e-mail address."))
        return _join(invitation, person)


def accept_as_new(secret: str, password: str) -> User:
    """Register with the invited address and this password, and join.

    Raises NotFound, or AlreadyExists if there is a person with this address: they sign in and accept.
    """
    with transaction.atomic():
        invitation = _locked(secret)
        person = User(username=_free_name(invitation.email), email=invitation.email)
        person.set_password(password)
        try:
            with transaction.atomic():
                person.save()
        except IntegrityError as error:
            raise AlreadyExists(_("There is already a user with this address. Sign in to accept."), "email") from error
        _join(invitation, person)
    return person


def purge(now: datetime) -> Purged:
    """Remove expired invitations: they hold addresses of people who did not join."""
    return remove_oldest(Invitation.objects.filter(expires_at__lte=now), "expires_at")


def _invite(account: Account, email: str, role: Role, by: User) -> tuple[Invitation, str]:
    email, secret = normal_email(email), secrets.token_urlsafe(32)
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if Membership.objects.filter(account=account, user__email=email).exists():
            raise AlreadyExists(_("This person is already a member of the account."), "email", email)
        Invitation.objects.filter(Q(email=email) | Q(expires_at__lte=clock.about_now()), account=account).delete()
        members.require_free_seat(account)
        invitation = Invitation.objects.create(
            account=account,
            email=email,
            role=role,
            invited_by=by,
            token_hash=_hash_of(secret),
            expires_at=clock.about_now() + GOOD_FOR,
        )
        _record("made", invitation, by)
    return invitation, secret


def _locked(secret: str) -> Invitation:
    """Lock the account, as everything that changes its members does."""
    found = find(secret)
    Account.objects.select_for_update(no_key=True).get(pk=found.account_id)
    return find(secret)


def _join(invitation: Invitation, person: User) -> Membership:
    membership, is_new = Membership.objects.get_or_create(
        account=invitation.account, user=person, defaults={"role": invitation.role}
    )
    if not is_new:
        raise AlreadyExists(_("You are already a member of this account."), "email", invitation.email)
    _record("accepted", invitation, person)
    invitation.delete()
    return membership


def _may_still(invitation: Invitation) -> bool:
    by, role = invitation.invited_by, Role(invitation.role)
    if not by.is_active:
        return False
    membership = Membership.objects.filter(account=invitation.account, user=by).first()
    return (membership is not None and members.has_power(membership, role)) or by.has_perm(CONSOLE_PERMISSION)


def _free_name(email: str) -> str:
    name = email.partition("@")[0][:120]
    return f"{name}-{secrets.token_hex(3)}" if User.objects.filter(username__iexact=name).exists() else name


def _hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(verb: str, invitation: Invitation, by: User) -> None:
    audit.record(
        f"invitation.{verb}",
        account=invitation.account,
        by=by,
        target_type="invitation",
        target_id=str(invitation.pk),
        after={"email": invitation.email, "role": invitation.role},
    )
