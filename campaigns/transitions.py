"""How a campaign's status is moved by one statement, and told of: in the audit log and to webhooks."""

import logging
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.security import audit
from campaigns import webhook_events
from campaigns.choices import CAMPAIGN, Actor, CampaignStatus
from campaigns.models import Campaign
from smsapp.core.exceptions import InvalidState, NotFound
from smsapp.lib.sentences import as_sentence

logger = logging.getLogger(__name__)


def locked_campaign(campaign: Campaign) -> Campaign:
    """Its row as it stands now, locked. Raises NotFound for a draft that was deleted meanwhile."""
    rows = Campaign.objects.select_for_update(of=("self",)).select_related("account", "audience", "user")
    locked = rows.filter(pk=campaign.pk).first()
    if locked is None:
        raise NotFound("There is no such campaign.")
    return locked


def not_from(campaign: Campaign, to: CampaignStatus, *sources: CampaignStatus) -> InvalidState:
    """`sources`: where this move starts, if not everywhere that a person may make it from."""
    return InvalidState(
        f"A campaign that is {campaign.get_status_display().lower()} cannot become {to.label.lower()}.",
        current_status=campaign.status,
        allowed=[str(status) for status in sources or CAMPAIGN.sources(to, Actor.PERSON)],
    )


def require_may(campaign: Campaign, to: CampaignStatus, *sources: CampaignStatus) -> None:
    """Raises InvalidState unless a person may make this move from where it stands, and it is among `sources`."""
    status = CampaignStatus(campaign.status)
    if not CAMPAIGN.may(status, to, Actor.PERSON) or (sources and status not in sources):
        raise not_from(campaign, to, *sources)


def require_draft(campaign: Campaign, what: str) -> None:
    """Raises InvalidState; `what` cannot be done. A resend is a draft only while its recipients are gathered, and then
    nobody's to change."""
    state = {"current_status": campaign.status, "allowed": [str(CampaignStatus.DRAFT)]}
    if campaign.status != CampaignStatus.DRAFT:
        raise InvalidState(
            f"Only a draft can be {what}, and this campaign is {campaign.get_status_display().lower()}.", **state
        )
    if campaign.resend_of_id is not None:
        raise InvalidState("Its recipients are still being gathered; then it starts by itself.", **state)


def move(campaign: Campaign, by: User, verb: str, to: CampaignStatus, **values: object) -> Campaign:
    """A person's move; raises InvalidState if it is not allowed."""
    is_moved = moved(campaign.pk, to, Actor.PERSON, by, verb, values)
    current = Campaign.objects.get(pk=campaign.pk)
    if not is_moved:
        raise not_from(current, to)
    return current


def moved(
    campaign_id: int, to: CampaignStatus, actor: Actor, by: User | None, verb: str, values: Mapping[str, object]
) -> bool:
    """Make one move; False if the table does not allow it.

    The row is written twice. The first time shows the move to everybody at once, so that no stream of new attempts,
    each sharing the row with the one before, keeps its lock from us. The second time waits for those under way.
    """
    among = Campaign.objects.filter(pk=campaign_id, status__in=CAMPAIGN.sources(to, actor))
    with transaction.atomic():
        if not among.update(status=to, **values):
            return False
        row = Campaign.objects.select_related("account").get(pk=campaign_id)
        webhook_events.emit_event(row)
        note(row, verb, by, after={"status": to.value, "status_detail": as_sentence(row.status_detail).english})
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        campaign.save(update_fields=["status"])
    logger.info("campaign %s is now %s", campaign.bulk_id, campaign.status)
    return True


def note(
    campaign: Campaign,
    verb: str,
    by: User | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(
        f"campaign.{verb}",
        account=campaign.account,
        by=by,
        target_type="campaign",
        target_id=campaign.bulk_id,
        before=before,
        after=after,
    )
