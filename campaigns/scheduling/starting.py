"""Due campaigns: they start, ask for approval again, or become `missed`."""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from campaigns import approval, pricing, services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_isolated
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

MISSED_WHILE_AWAY = Sentence(gettext_noop("It missed its scheduled time because the service was not running."))


def start_due(now: datetime) -> int:
    """Start every due campaign, and return their number. One that is too late becomes `missed`."""
    too_late = now - timedelta(seconds=settings.LATE_START_WINDOW)
    missed = (
        Campaign.objects.due(now)
        .filter(scheduled_at__lt=too_late)
        .update(status=CampaignStatus.MISSED, status_detail=MISSED_WHILE_AWAY)
    )
    if missed:
        logger.warning("%s campaigns missed their scheduled time and wait for a person", missed)
    due = Campaign.objects.due(now)
    started = due.filter(kind=CampaignKind.SINGLE).update(status=CampaignStatus.RUNNING, started_at=now)
    for campaign_id in list(due.values_list("pk", flat=True)):
        started += bool(run_isolated(partial(_start_due, now=now), campaign_id))
    if started:
        enqueue("messaging.sweep")  # picks up batches that were set aside meanwhile
        enqueue("messaging.expand")
        enqueue("messaging.dispatch_singles")
        enqueue("messaging.dispatch_campaigns")
    return started


@transaction.atomic
def _start_due(campaign_id: int, now: datetime) -> bool:
    """Start a due campaign, unless it changed after it was approved. Return whether it runs."""
    due = Campaign.objects.due(now).select_for_update(of=("self",)).select_related("account", "audience")
    campaign = due.filter(pk=campaign_id).first()
    if campaign is None:
        return False
    if approval.is_void(campaign):
        logger.error("campaign %s changed after it was approved", campaign.bulk_id)
        services.ask_for_approval(campaign, campaign.approval_requested_by)
        pricing.undo_admission(campaign)
        campaign.status_detail = Sentence(gettext_noop("It changed after it was approved, so it was not started."))
    else:
        services.start_or_schedule(campaign, now)
    campaign.save(update_fields=services.LAUNCH_FIELDS)
    services.announce(campaign, None)
    return campaign.status == CampaignStatus.RUNNING


def miss_uncertain(now: datetime, detail: str | Sentence) -> int:
    """Make due campaigns `missed` whose messages are not all stored, and return their number.

    After a restore the database cannot tell whether they had started.
    """
    uncertain = Campaign.objects.due(now).filter(chunks_done__lt=F("chunk_count"))
    return uncertain.update(status=CampaignStatus.MISSED, status_detail=detail)
