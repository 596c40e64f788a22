"""Sending that is under way, for pages and endpoints."""

from django.db.models import F, IntegerField, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import ngettext

from accounts.models import Account
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState
from messaging.models import Attempt


def on_their_way(campaign: Campaign) -> int:
    """Count messages of a paused or cancelled campaign that could not be stopped.

    These are in a call, or, after a cancellation, have an unknown outcome (after a pause such messages are still looked
    up, and may be sent on resuming). No call begins after pause or cancel has answered, so this can only fall. One
    statement reads both parts: a message whose answer is lost meanwhile is counted in one of them.
    """
    in_call = _in_call().filter(batch__campaign_id=OuterRef("pk")).order_by().values("batch__campaign_id")
    total = Subquery(in_call.annotate(total=Sum("message_count")).values("total"), output_field=IntegerField())
    row = Campaign.objects.annotate(in_call=Coalesce(total, 0)).filter(pk=campaign.pk)
    status, unknown, count = row.values_list("status", "unknown", "in_call").get()
    return int(count + unknown if status == CampaignStatus.CANCELLED else count)


def on_their_way_of(account: Account) -> int:
    """Count messages of a suspended account that are in a call. No other call begins, so this can only fall."""
    total = _in_call().filter(batch__account=account).aggregate(total=Sum("message_count"))["total"]
    return int(total or 0)


def _in_call() -> QuerySet[Attempt]:
    """Return calls whose worker still holds their batch. An index of their own finds the few open ones."""
    leased = Attempt.objects.filter(state=AttemptState.OPEN, batch__state=BatchState.LEASED)
    return leased.filter(epoch=F("batch__lease_epoch"))


def on_their_way_words(count: int) -> str:
    if not count:
        return "Nothing was on its way."
    words = ngettext(
        "%(count)s message was already on its way and could not be stopped.",
        "%(count)s messages were already on their way and could not be stopped.",
        count,
    )
    return words % {"count": f"{count:,}"}


def still_to_send(campaign: Campaign) -> int:
    """Count what a resumed campaign goes on with, from its own counters."""
    return campaign.queued + max(campaign.waiting, 0)


def still_to_send_words(count: int) -> str:
    if not count:
        return "Nothing is left to be sent."
    words = ngettext("%(count)s message is still to be sent.", "%(count)s messages are still to be sent.", count)
    return words % {"count": f"{count:,}"}
