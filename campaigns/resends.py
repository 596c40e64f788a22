"""Sending the failed messages of an ended campaign again: which campaign may be resent, and the draft that will."""

import logging
import secrets
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.moves import note
from campaigns.rendering import Template
from campaigns.rules import CampaignRequest, check_request
from smsapp.exceptions import InvalidState
from uploads.services import audience_to_fill

logger = logging.getLogger(__name__)

#: Nothing of it goes on by itself. A paused campaign may be resumed, and then sends what waits: that is no failure.
RESENDABLE = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED, CampaignStatus.FAILED)


def create_resend(original: Campaign, by: User, statuses: Sequence[str]) -> Campaign:
    """A draft that will send the messages of these statuses again; the pipeline gathers its recipients and starts it.

    A campaign is resent once, decided under its row's lock: two clicks make one resend, and no message is ever in two
    of them. What fails again is sent again by resending the resend. A resend that was cancelled before it started does
    not count. `valid_until` is kept while it is ahead. Raises an SmsappError.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(of=("self",)).select_related("account", "audience")
        original = locked.get(pk=original.pk)
        _check_resend(original, statuses)
        is_constant = Template(original.message).bind(original.audience.columns).is_constant
        columns = () if is_constant else original.audience.columns
        valid_until = original.valid_until
        if valid_until is not None and valid_until <= timezone.now():
            valid_until = None
        request = CampaignRequest(
            kind=CampaignKind(original.kind), message=original.message, sender_id=original.sender_id,
            valid_until=valid_until,
        )  # fmt: skip
        check_request(original.account, request, columns)
        resend = Campaign.objects.create(
            account=original.account,
            user=by,
            kind=original.kind,
            mode=original.mode,
            bulk_id=f"bulk-{secrets.token_hex(10)}",
            name=original.name,
            message=original.message,
            sender_id=original.sender_id,
            callback_url=original.callback_url,
            audience=audience_to_fill(original.account, columns),
            resend_of=original,
            resend_statuses=list(statuses),
            status=CampaignStatus.DRAFT,
            valid_until=valid_until,
        )
        note(original, "resent", by, after={"bulk_id": resend.bulk_id, "statuses": list(statuses)})
    logger.info("campaign %s sends the %s of %s again", resend.bulk_id, ", ".join(statuses), original.bulk_id)
    return resend


def is_resendable(campaign: Campaign, statuses: Sequence[str]) -> bool:
    """Whether a door should offer it: `create_resend` decides. Asks nothing of the database while it may not be."""
    try:
        _check_resend(campaign, statuses)
    except InvalidState:
        return False
    return True


def _check_resend(original: Campaign, statuses: Sequence[str]) -> None:
    """Raises InvalidState with the reason."""
    state = {"current_state": original.status, "allowed": [str(status) for status in RESENDABLE]}
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
            **state, bulk_id=resend.bulk_id,
        )  # fmt: skip
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
