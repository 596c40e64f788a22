"""Campaigns whose time has come: they start, ask for approval again, or have missed it."""

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

MISSED_WHILE_AWAY = Sentence(gettext_noop("Its time passed while the service was not running."))


def start_due(now: datetime) -> int:
    """Start every campaign whose time has come; those later than the window become `missed`. How many started."""
    too_late = now - timedelta(seconds=settings.LATE_START_WINDOW)
    missed = (
        Campaign.objects.due(now)
        .filter(scheduled_at__lt=too_late)
        .update(status=CampaignStatus.MISSED, status_detail=MISSED_WHILE_AWAY)
    )
    if missed:
        logger.warning("%s campaigns missed their time and wait for a decision", missed)
    due = Campaign.objects.due(now)
    started = due.filter(kind=CampaignKind.SINGLE).update(status=CampaignStatus.RUNNING, started_at=now)
    for campaign_id in list(due.values_list("pk", flat=True)):
        started += bool(run_isolated(partial(_start_due, now=now), campaign_id))
    if started:
        enqueue("messaging.sweep")  # takes up what was set aside meanwhile
        enqueue("messaging.expand")
        enqueue("messaging.dispatch_singles")
        enqueue("messaging.dispatch_campaigns")
    return started


@transaction.atomic
def _start_due(campaign_id: int, now: datetime) -> bool:
    """Start one whose time has come, unless it is not what was approved."""
    due = Campaign.objects.due(now).select_for_update(of=("self",)).select_related("account", "audience")
    campaign = due.filter(pk=campaign_id).first()
    if campaign is None:
        return False
    if approval.is_void(campaign):
        logger.error("campaign %s is not what was approved", campaign.bulk_id)
        services.ask_for_approval(campaign, campaign.approval_requested_by)
        pricing.undo_admission(campaign)
        campaign.status_detail = Sentence(gettext_noop("It is not what was approved any more, so it was not started."))
    else:
        services.start_or_schedule(campaign, now)
    campaign.save(update_fields=services.SET_OFF)
    services.announce(campaign, None)
    return campaign.status == CampaignStatus.RUNNING


def miss_uncertain(now: datetime, detail: str | Sentence) -> int:
    """Due campaigns whose recipients are not all stored become `missed`, since a database that was restored cannot
    know whether they were started before. How many."""
    uncertain = Campaign.objects.due(now).filter(chunks_done__lt=F("chunk_count"))
    return uncertain.update(status=CampaignStatus.MISSED, status_detail=detail)
