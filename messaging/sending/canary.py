"""A campaign's first recipients go before the others, which wait for what becomes of them.

    sending   the first are being handed over
    waiting   their delivery reports are awaited, for the campaign's `canary_wait` at most
    passed    enough of them got it: the others follow
    failed    too few did, or said so in time: the campaign is paused; who resumes it has decided that they follow

Batches of the others are held with `waits_for_canary`, which the sweep takes away after the step to `passed`: here the
campaign is locked, and batches are locked before campaigns.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext_noop

from campaigns.choices import CampaignStatus, CanaryState
from campaigns.models import Campaign
from campaigns.models.tally import COUNTED_STATUSES
from campaigns.transitions import pause_for_canary
from messaging.models import Batch
from smsapp.core import clock
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_isolated
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

#: They never left, so they say nothing about the route.
NOT_TRIED = ("suppressed", "cancelled", "expired", "failed")
OPEN = (CanaryState.SENDING, CanaryState.WAITING, CanaryState.FAILED)


def is_on(campaign_id: int) -> bool:
    """Return whether the other recipients still have to wait, as this row says."""
    return Campaign.objects.filter(pk=campaign_id, canary_state__in=OPEN).exists()


def check_due() -> int:
    """Move every campaign whose canary is still open. Return the number of campaigns that moved."""
    running = Campaign.objects.filter(status=CampaignStatus.RUNNING, canary_state__in=OPEN)
    return sum(bool(run_isolated(step, pk)) for pk in running.values_list("pk", flat=True)[:500])


def let_follow() -> int:
    """Stop holding back the batches of the others, once they may follow. Return the number of batches."""
    late = Batch.objects.filter(waits_for_canary=True, campaign__canary_state=CanaryState.PASSED)
    return late.update_unlocked(waits_for_canary=False)


def step(campaign_id: int) -> bool:
    """Take the next step of a campaign, if it is due."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
        before = campaign.canary_state
        if campaign.status == CampaignStatus.RUNNING:
            STEPS[CanaryState(campaign.canary_state)](campaign)
    if campaign.canary_state == CanaryState.FAILED != before:  # the others wait anyway: nothing leaves in between
        pause_for_canary(campaign_id, _why_paused(campaign))
        logger.warning("campaign %s: %s", campaign.bulk_id, _why_paused(campaign))
    return campaign.canary_state != before


def _tally(campaign: Campaign) -> dict[str, int]:
    """Return the summed tallies of the first recipients' batches, with their number of messages as `size`."""
    first = Batch.objects.filter(campaign=campaign, waits_for_canary=False)
    names = (*COUNTED_STATUSES, "size")
    sums = first.aggregate(**{f"total_{name}": Sum(name, default=0) for name in names})
    return {name: sums[f"total_{name}"] for name in names}


def _tried(tally: dict[str, int]) -> int:
    return tally["size"] - sum(tally[name] for name in NOT_TRIED)


def _begin_to_wait(campaign: Campaign) -> None:
    """Wait for delivery reports, once every first message has been submitted or never will be."""
    tally = _tally(campaign)
    expected = min(campaign.canary_size or 0, campaign.total_recipients)
    if tally["size"] >= expected and not tally["queued"] and not tally["unknown"]:
        campaign.canary_state = CanaryState.WAITING
        campaign.canary_due_at = clock.now() + timedelta(seconds=campaign.canary_wait)
        campaign.save(update_fields=["canary_state", "canary_due_at"])
        _judge(campaign)


def _judge(campaign: Campaign) -> None:
    """Decide, once every first message is reported or the wait is over."""
    tally = _tally(campaign)
    assert campaign.canary_due_at is not None
    if tally["sent"] and clock.now() < campaign.canary_due_at:
        return
    if tally["delivered"] * 100 >= campaign.canary_floor * _tried(tally):
        _pass(campaign)
    else:
        campaign.canary_state = CanaryState.FAILED
        campaign.save(update_fields=["canary_state"])


def _pass(campaign: Campaign) -> None:
    campaign.canary_state = CanaryState.PASSED
    campaign.save(update_fields=["canary_state"])
    logger.info("campaign %s: the others follow the first recipients", campaign.bulk_id)
    enqueue("messaging.sweep")
    enqueue("messaging.expand")


def _why_paused(campaign: Campaign) -> Sentence:
    tally = _tally(campaign)
    return Sentence(
        gettext_noop("%(delivered)s of the first %(tried)s recipients got it; at least %(floor)s %% were required."),
        tried=f"{_tried(tally):,}",
        delivered=f"{tally['delivered']:,}",
        floor=campaign.canary_floor,
    )


#: The step in each state of a running campaign. A failed one that runs again was resumed: a person decided.
STEPS = {CanaryState.SENDING: _begin_to_wait, CanaryState.WAITING: _judge, CanaryState.FAILED: _pass}
