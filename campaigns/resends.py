"""Sending the failed messages of an ended campaign again: which campaign may be resent, and the draft that will."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from django.db import transaction

from accounts.models import User
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.services import save_new, unsaved_campaign
from campaigns.texts.renderers import renderer_of
from campaigns.transitions import note
from campaigns.validation import check_request, request_of
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState
from uploads.audiences import audience_to_fill

logger = logging.getLogger(__name__)

#: Nothing of it goes on by itself. A paused campaign may be resumed, and then sends what waits: that is no failure.
RESENDABLE = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED, CampaignStatus.FAILED)


def create_resend(original: Campaign, by: User, statuses: Sequence[str]) -> Campaign:
    """A draft that will send the messages of these statuses again; the pipeline gathers its recipients and starts it.

    A campaign is resent once, decided under its row's lock: two clicks make one resend, and no message is ever in two
    of them. What fails again is sent again by resending the resend. A resend that was cancelled before it started does
    not count. It keeps what was asked for, without first recipients and times; `valid_until` while it is ahead.
    Raises an SmsappError.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(of=("self",)).select_related("account", "audience")
        original = locked.get(pk=original.pk)
        _check_resend(original, statuses)
        is_constant = renderer_of(original.kind, original.message, original.audience.columns).is_constant
        columns = () if is_constant else original.audience.columns
        valid_until = original.valid_until
        if valid_until is not None and valid_until <= clock.about_now():
            valid_until = None
        request = replace(
            request_of(original),
            scheduled_at=None,
            valid_until=valid_until,
            client_reference=None,
            request_id="",
            canary_size=None,
            canary_percent=None,
        )
        check_request(original.account, request, columns)
        resend = unsaved_campaign(original.account, by, request, audience_to_fill(original.account, columns))
        resend.resend_of, resend.resend_statuses = original, list(statuses)
        save_new(resend)
        note(original, "resent", by, after={"bulk_id": resend.bulk_id, "statuses": list(statuses)})
    logger.info("campaign %s sends the %s of %s again", resend.bulk_id, ", ".join(statuses), original.bulk_id)
    return resend


def is_resendable(campaign: Campaign, statuses: Collection[str]) -> bool:
    """Whether a page should offer it: `create_resend` decides. Asks nothing of the database while it may not be."""
    try:
        _check_resend(campaign, statuses)
    except InvalidState:
        return False
    return True


def _check_resend(original: Campaign, statuses: Collection[str]) -> None:
    """Raises InvalidState with the reason."""
    state = {"current_status": original.status, "allowed": [str(status) for status in RESENDABLE]}
    if original.status not in RESENDABLE:
        raise InvalidState(
            f"A campaign that is {original.get_status_display().lower()} cannot be resent: it has to be completed "
            "or cancelled first.",
            **state,
        )
    if original.queued > 0 or original.unknown > 0:
        raise InvalidState("Some of its messages are still being closed or looked up. Try again in a minute.", **state)
    if resend := next(filter(_counts_as_resend, original.resends.all()), None):
        raise InvalidState(
            "The failed messages of this campaign were sent again already. What failed again is sent again from there.",
            **state,
            bulk_id=resend.bulk_id,
        )
    if not any(original.tally[status] > 0 for status in statuses):
        raise InvalidState("This campaign has no failed messages to send again.", **state)


def _counts_as_resend(resend: Campaign) -> bool:
    """Nothing was ever sent of one that was cancelled before it started."""
    return resend.status != CampaignStatus.CANCELLED or resend.started_at is not None


def show_gathered(resend: Campaign) -> None:
    """Move a draft's totals to what its audience holds; in the transaction that stored it."""
    resend.total_recipients = resend.audience.recipient_count
    resend.chunk_count = resend.audience.chunk_count
    resend.save(update_fields=["total_recipients", "chunk_count"])
