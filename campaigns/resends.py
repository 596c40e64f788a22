"""Resends: which ended campaigns can send their failed messages again, and the new campaign that does it."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from django.db import transaction
from django.utils.translation import gettext_lazy as _

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

#: States in which nothing more is sent. Not `paused`: what waits there is sent when the campaign is resumed.
RESENDABLE = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED, CampaignStatus.FAILED)


def create_resend(original: Campaign, by: User, statuses: Sequence[str]) -> Campaign:
    """Create the draft that sends the messages of these statuses again.

    The pipeline gathers its recipients and starts it. A campaign is resent once, decided under its row's lock: two
    clicks make one resend, and no message is in two. A resend that was cancelled before it started does not count.
    What fails again is resent from the resend. It keeps the original's settings except canary, schedule and a
    `valid_until` that has passed. Raises an SmsappError.
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
    logger.info("campaign %s resends the %s messages of %s", resend.bulk_id, ", ".join(statuses), original.bulk_id)
    return resend


def is_resendable(campaign: Campaign, statuses: Collection[str]) -> bool:
    """Return whether a page should offer a resend. No query if the state rules it out."""
    try:
        _check_resend(campaign, statuses)
    except InvalidState:
        return False
    return True


def _check_resend(original: Campaign, statuses: Collection[str]) -> None:
    state = {"current_status": original.status, "allowed": [str(status) for status in RESENDABLE]}
    if original.status not in RESENDABLE:
        raise InvalidState(
            _("Only a completed or cancelled campaign can be resent. This one is in the state “%(status)s”.")
            % {"status": original.get_status_display()},
            **state,
        )
    if original.queued > 0 or original.unknown > 0:
        raise InvalidState(
            _("The outcome of some messages is not known yet. Try again in a minute."),
            **state,
        )
    if resend := next(filter(_counts_as_resend, original.resends.all()), None):
        raise InvalidState(
            _("This campaign was already resent. Resend the messages that failed again from its resend."),
            **state,
            bulk_id=resend.bulk_id,
        )
    if not any(original.tally[status] > 0 for status in statuses):
        raise InvalidState(_("This campaign has no failed messages to send again."), **state)


def _counts_as_resend(resend: Campaign) -> bool:
    """Return False for a resend that was cancelled before it started: it sent nothing."""
    return resend.status != CampaignStatus.CANCELLED or resend.started_at is not None


def show_gathered(resend: Campaign) -> None:
    """Copy the totals of a resend's audience to its draft, in the transaction that stored them."""
    resend.total_recipients = resend.audience.recipient_count
    resend.chunk_count = resend.audience.chunk_count
    resend.save(update_fields=["total_recipients", "chunk_count"])
