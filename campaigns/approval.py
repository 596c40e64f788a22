"""Approval by a second person. It is bound to a hash of what would be sent and to whom, so any change voids it."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
from django.utils.translation import gettext_lazy as _

from accounts.choices import Mode, Role
from accounts.models import Membership, User
from campaigns.models import Campaign
from campaigns.pricing import quote_of
from smsapp.core.exceptions import PermissionDenied
from uploads.models import Audience, AudienceChunk

APPROVING_ROLES = (Role.OWNER, Role.ADMIN)


def is_needed(campaign: Campaign) -> bool:
    """Return whether the campaign exceeds what its account sends or spends without approval."""
    account = campaign.account
    if account.approval_above is not None and campaign.total_recipients > account.approval_above:
        return True
    limit = account.approval_above_micro
    if limit is None or not account.is_metered or campaign.mode != Mode.LIVE or not campaign.total_recipients:
        return False
    return quote_of(campaign).amount > limit


def content_hash(campaign: Campaign) -> str:
    """Return the SHA-256 (hex) of what is sent, when, to whom, and where its results go."""
    percent = campaign.canary_percent  # if it is given, the size follows from the recipients
    return _hash_with_canary(campaign, percent, campaign.canary_size if percent is None else None)


def _former_hashes(campaign: Campaign) -> Iterator[str]:
    """Yield the hashes of earlier releases, so that a campaign can be approved after an upgrade."""
    yield _hash_with_canary(campaign, campaign.canary_percent or campaign.canary_size)
    times = map(_moment, (campaign.scheduled_at, campaign.valid_until))
    yield _digest(campaign.message, campaign.sender_id, *times, audience_hash(campaign.audience))


def _hash_with_canary(campaign: Campaign, *canary: int | None) -> str:
    return _digest(
        campaign.message,
        campaign.sender_id,
        campaign.callback_url,
        *map(_moment, (campaign.scheduled_at, campaign.valid_until)),
        *map(str, (campaign.quiet_from, campaign.quiet_until)),
        *(*canary, campaign.canary_wait, campaign.canary_floor),
        audience_hash(campaign.audience),
    )


def _digest(*content: str | int | None) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def audience_hash(audience: Audience) -> str:
    """Return the SHA-256 (hex) of the columns and of the checksums of all chunks."""
    checksums = AudienceChunk.objects.filter(audience=audience).order_by("number").values_list("checksum", flat=True)
    return hashlib.sha256(orjson.dumps([audience.columns, *checksums])).hexdigest()


def is_void(campaign: Campaign) -> bool:
    """Return whether the campaign has changed since approval was requested or given."""
    stored = campaign.approval_hash
    return stored != "" and stored != content_hash(campaign) and stored not in _former_hashes(campaign)


def is_approver(by: User, role: str | None) -> bool:
    """Return whether `by` may approve the campaigns of an account. Operators always may."""
    return by.is_superuser or role in APPROVING_ROLES


def may_approve(campaign: Campaign, by: User, role: str | None) -> bool:
    """Return whether `by` may decide on this campaign: an approver who did not launch it."""
    return is_approver(by, role) and campaign.approval_requested_by_id != by.pk


def require_approver(campaign: Campaign, by: User) -> None:
    """Raise PermissionDenied unless `by` may decide on the campaign (see `may_approve`)."""
    role = Membership.objects.filter(account=campaign.account_id, user=by).values_list("role", flat=True).first()
    if not is_approver(by, role):
        raise PermissionDenied(_("Only an owner or an admin of the account can approve a campaign."))
    if not may_approve(campaign, by, role):
        raise PermissionDenied(_("You launched this campaign, so a second person has to approve it."))


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
