"""Status changes of a campaign, each with its audit event and its webhook event."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.security import audit
from campaigns import webhook_events
from campaigns.choices import CAMPAIGN, Actor, CampaignKind, CampaignStatus, PauseReason
from campaigns.models import Campaign
from smsapp.core.exceptions import InvalidState, NotFound
from smsapp.lib.sentences import Sentence, as_sentence

logger = logging.getLogger(__name__)


def locked_campaign(campaign: Campaign) -> Campaign:
    """Lock and return the campaign's present row. Raises NotFound for a draft that was deleted meanwhile."""
    rows = Campaign.objects.select_for_update(of=("self",)).select_related("account", "audience", "user")
    locked = rows.filter(pk=campaign.pk).first()
    if locked is None:
        raise NotFound(_("There is no such campaign."))
    return locked


def not_from(campaign: Campaign, to: CampaignStatus, *sources: CampaignStatus) -> InvalidState:
    """Return the error of a move to `to`. `sources`: where it may start, if not wherever a person may begin it."""
    return InvalidState(
        _("A campaign in the state “%(status)s” cannot change to “%(to)s”.")
        % {"status": campaign.get_status_display(), "to": to.label},
        current_status=campaign.status,
        allowed=[str(status) for status in sources or CAMPAIGN.sources(to, Actor.PERSON)],
    )


def require_may(campaign: Campaign, to: CampaignStatus, *sources: CampaignStatus) -> None:
    """Raise InvalidState unless a person may move the campaign to `to`, and it is in one of `sources`."""
    status = CampaignStatus(campaign.status)
    if not CAMPAIGN.may(status, to, Actor.PERSON) or (sources and status not in sources):
        raise not_from(campaign, to, *sources)


def may_withdraw(campaign: Campaign) -> bool:
    """Return whether a person may return it to draft. A single send or a resend was never one to edit."""
    is_own_bulk = campaign.kind == CampaignKind.BULK and campaign.resend_of_id is None
    return is_own_bulk and CAMPAIGN.may(CampaignStatus(campaign.status), CampaignStatus.DRAFT, Actor.PERSON)


def require_draft(campaign: Campaign) -> None:
    """Raise InvalidState unless the campaign is a draft that a person edits."""
    state = {"current_status": campaign.status, "allowed": [str(CampaignStatus.DRAFT)]}
    if campaign.status != CampaignStatus.DRAFT:
        raise InvalidState(
            _("Only a draft can be changed, deleted or launched. This campaign is in the state “%(status)s”.")
            % {"status": campaign.get_status_display()},
            **state,
        )
    if campaign.resend_of_id is not None:
        raise InvalidState(_("This resend cannot be changed. It starts by itself when it has its recipients."), **state)


def move(campaign: Campaign, by: User, verb: str, to: CampaignStatus, **values: object) -> Campaign:
    """Make a person's move, and return the campaign after it. Raises InvalidState if it is not allowed."""
    is_moved = moved(campaign.pk, to, Actor.PERSON, by, verb, values)
    current = Campaign.objects.get(pk=campaign.pk)
    if not is_moved:
        raise not_from(current, to)
    return current


def moved(
    campaign_id: int, to: CampaignStatus, actor: Actor, by: User | None, verb: str, values: Mapping[str, object]
) -> bool:
    """Make one move. Returns False if the table of states does not allow it.

    The row is written twice. The first write shows the move to everybody at once; without it a stream of new attempts,
    which all share a lock on the row, could keep us from locking it. The second write waits for attempts under way.
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


def pause_for_gateway(
    campaign_id: int, detail: str | Sentence, reason: PauseReason = PauseReason.GATEWAY_REFUSED
) -> bool:
    """Pause a running campaign because the gateway refuses our account or its messages.

    Like its siblings, returns False if the campaign was not running.
    """
    return _pause_running(campaign_id, reason, detail)


def pause_for_canary(campaign_id: int, detail: str | Sentence) -> bool:
    """Pause a running campaign because too few of its first recipients got it."""
    return _pause_running(campaign_id, PauseReason.CANARY, detail)


def pause_for_credit(campaign_id: int, detail: str | Sentence) -> bool:
    """Pause a running campaign because it costs more than its account has."""
    return _pause_running(campaign_id, PauseReason.NO_CREDIT, detail)


def pause_for_no_route(campaign_id: int, detail: str | Sentence) -> bool:
    """Pause a running campaign because no route leads to any of the recipients that are left."""
    return _pause_running(campaign_id, PauseReason.NO_ROUTE, detail)


def pause_for_defect(campaign_id: int, detail: str | Sentence) -> bool:
    """Pause a running campaign because of a defect on our side."""
    return _pause_running(campaign_id, PauseReason.DEFECT, detail)


def settle_status(campaign_ids: Sequence[int], now: datetime) -> None:
    """Complete campaigns that have nothing left to submit, and close those that await no report."""
    among = Campaign.objects.filter(pk__among=campaign_ids, queued__lte=0, unknown__lte=0)
    complete = among.filter(
        status__in=CAMPAIGN.sources(CampaignStatus.COMPLETED, Actor.PIPELINE), chunks_done=F("chunk_count")
    )
    with transaction.atomic():
        if keys := list(complete.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)):
            Campaign.objects.filter(pk__among=keys).update(status=CampaignStatus.COMPLETED, completed_at=now)
            for campaign in Campaign.objects.filter(pk__among=keys, kind=CampaignKind.BULK):
                webhook_events.emit_event(campaign)
    among.filter(
        Q(status=CampaignStatus.COMPLETED) | Q(status=CampaignStatus.CANCELLED), closed_at=None, sent__lte=0
    ).update(closed_at=now)


def _pause_running(campaign_id: int, reason: PauseReason, detail: str | Sentence) -> bool:
    values = {"pause_reason": reason, "status_detail": as_sentence(detail)}
    return moved(campaign_id, CampaignStatus.PAUSED, Actor.PIPELINE, None, "paused", values)
