"""Members of an account and their roles.

Owners and admins decide; only owners decide about owners. People join by accepting an invitation
(`accounts/access/invitations.py`).
"""

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.choices import Role
from accounts.models import Account, Invitation, Membership
from accounts.security import audit
from smsapp.core.exceptions import InvalidState, PermissionDenied

MANAGING_ROLES = (Role.OWNER, Role.ADMIN)
MAX_MEMBERS = 500


def manages(membership: Membership) -> bool:
    return Role(membership.role) in MANAGING_ROLES


def has_power(by: Membership, *roles: Role) -> bool:
    """Return whether a member may decide about people with these roles."""
    return manages(by) and (Role.OWNER not in roles or by.role == Role.OWNER)


def require_power(by: Membership, *roles: Role) -> None:
    """Raise PermissionDenied for a member who may not decide about people with these roles."""
    if not manages(by):
        raise PermissionDenied(_("Only an owner or an admin can manage the team."))
    if not has_power(by, *roles):
        raise PermissionDenied(_("Only an owner can change or add owners."))


def require_free_seat(account: Account) -> None:
    """Raise InvalidState for a full account; open invitations count."""
    people = Membership.objects.filter(account=account).count() + Invitation.objects.filter(account=account).count()
    if people >= MAX_MEMBERS:
        raise InvalidState(
            _("An account has at most %(max)d members, including open invitations.") % {"max": MAX_MEMBERS},
            max=MAX_MEMBERS,
        )


def change_role(membership: Membership, by: Membership, role: Role) -> Membership:
    """Change a member's role.

    Raises PermissionDenied, for one's own role too, or InvalidState for the last owner.
    """
    if membership.pk == by.pk:
        raise PermissionDenied(_("You cannot change your own role. Ask another owner or admin."))
    with transaction.atomic():
        locked = _locked(membership, by)
        require_power(by, Role(locked.role), role)
        if locked.role == Role.OWNER and role != Role.OWNER:
            _require_another_owner(locked)
        before, locked.role = locked.role, role
        locked.save(update_fields=["role"])
        _record("role_changed", locked, by, {"role": before}, {"role": role.value})
    return locked


def remove_member(membership: Membership, by: Membership) -> None:
    """Remove a member, and with them their keys. Raises PermissionDenied, or InvalidState for the last owner."""
    with transaction.atomic():
        locked = _locked(membership, by)
        require_power(by, Role(locked.role))
        if locked.role == Role.OWNER:
            _require_another_owner(locked)
        _record("removed", locked, by, before={"role": locked.role})
        locked.delete()


def _locked(membership: Membership, by: Membership) -> Membership:
    """Lock the account, so that two owners cannot remove each other at once."""
    Account.objects.select_for_update(no_key=True).get(pk=by.account_id)
    return Membership.objects.select_related("account", "user").get(pk=membership.pk, account=by.account_id)


def _require_another_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(account=membership.account_id, role=Role.OWNER).exclude(pk=membership.pk)
    if not owners.exists():
        raise InvalidState(_("An account needs an owner. Make another member an owner first."))


def _record(
    verb: str,
    membership: Membership,
    by: Membership,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    audit.record(
        f"member.{verb}",
        account=membership.account,
        by=by.user,
        target_type="member",
        target_id=membership.user.username[:60],
        before=before,
        after=after,
    )
