"""The life of a campaign: the only place that moves its status, and tells of it: in the audit log and to webhooks.

Pause and cancel take the campaign's row FOR UPDATE before they answer; dispatch reads it FOR KEY SHARE before it
commits an attempt. So once one of them has answered no call is prepared any more; those whose attempt was committed
just before are on their way, and the answer counts them.
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from accounts.models import Account, User
from accounts.suspension import require_active
from accounts.webhooks import endpoints
from campaigns import approval, pricing, webhook_events
from campaigns.choices import CAMPAIGN, Actor, CampaignKind, CampaignStatus, CanaryState, PauseReason
from campaigns.models import Campaign
from campaigns.transitions import locked_campaign, move, not_from, note, require_draft, require_may, settle_status
from campaigns.validation import SCHEDULE_GRACE, CampaignRequest, check_request, request_of, write_request
from smsapp.core import clock
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import DuplicateReference, InvalidState, TooManyRecipients, ValidationError
from smsapp.database.prepared_insert import Inserts
from smsapp.lib.sentences import Sentence
from uploads.models import Audience

logger = logging.getLogger(__name__)

_insert_campaigns = Inserts(Campaign)

#: Fields that setting a campaign off changes.
SET_OFF = (
    "status",
    "status_detail",
    "started_at",
    "canary_size",
    "canary_state",
    "approval_hash",
    "approval_requested_by",
    "approved_by",
    "approved_at",
    *pricing.FIELDS,
)
VERBS = {
    CampaignStatus.AWAITING_APPROVAL: "approval_requested",
    CampaignStatus.SCHEDULED: "scheduled",
    CampaignStatus.RUNNING: "started",
}


def create_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """Store a checked request as a campaign that starts at once, at its time, or when it is approved (see `launch`)."""
    check_request(account, request, audience.columns)
    with transaction.atomic():
        return accept_campaign(account, user, request, audience)


def accept_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """`create_campaign` of a request that was checked, inside the caller's transaction."""
    campaign = admit_campaign(account, user, request, audience)
    store_campaign(campaign)
    return campaign


def admit_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """The first half of `accept_campaign`: on its way, its credit reserved, and not stored yet."""
    _require_recipients(audience)
    campaign = unsaved_campaign(account, user, request, audience)
    _set_off(campaign, user)
    return campaign


def store_campaign(campaign: Campaign) -> None:
    """The second half, in the same transaction."""
    save_new(campaign)
    announce(campaign, campaign.user)
    logger.info("campaign %s created with %s recipients", campaign.bulk_id, campaign.total_recipients)


def set_off_recurring(campaign: Campaign, by: User, *, is_late: bool) -> None:
    """Store the campaign of a moment, in the caller's transaction, and set it off; one that is late waits, `missed`,
    for a person."""
    _require_recipients(campaign.audience)
    if is_late:
        campaign.status = CampaignStatus.MISSED
        campaign.status_detail = Sentence(gettext_noop("Its time was over before it could begin."))
        campaign.scheduled_at = campaign.due_at
        save_new(campaign)
        note(campaign, "missed", None, after={"due_at": campaign.due_at and campaign.due_at.isoformat()})
        return
    _set_off(campaign, by)
    save_new(campaign)
    announce(campaign, by)


def unsaved_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """What a request asks for, as a draft that is not stored yet."""
    campaign = Campaign(
        account=account,
        user=user,
        kind=request.kind,
        mode=request.mode,
        bulk_id=f"bulk-{secrets.token_hex(10)}",
        audience=audience,
        total_recipients=audience.recipient_count,
        chunk_count=audience.chunk_count,
        request_id=request.request_id,
    )
    write_request(campaign, request)
    return campaign


def save_new(campaign: Campaign, fields: Sequence[str] | None = None) -> None:
    """Save a new campaign, or these fields of one. Raises DuplicateReference, naming the campaign that has it."""
    try:
        with transaction.atomic(savepoint=campaign.client_reference is not None):
            if fields is None:
                _insert_campaigns([campaign])
            else:
                campaign.save(update_fields=fields)
    except IntegrityError as error:
        if campaign.client_reference is None:
            raise
        of_mode = Campaign.objects.for_account(campaign.account, campaign.mode).exclude(pk=campaign.pk)
        other = of_mode.filter(client_reference=campaign.client_reference).first()
        if other is None:
            raise
        raise DuplicateReference(
            "Another send has this client_reference.",
            "client_reference",
            campaign.client_reference,
            existing_bulk_id=other.bulk_id,
        ) from error


def launch(campaign: Campaign, by: User, undo_for: timedelta | None = None) -> Campaign:
    """Set off a draft: it waits for its approval or its time, or runs. Of many at once one wins, the others, as for
    anything but a draft, raise InvalidState. Raises an SmsappError for what cannot be sent as it stands.

    `undo_for`: what would run at once begins only then, and can be withdrawn until it does.
    """
    require_draft(campaign, "launched")
    _check_campaign(campaign)
    with transaction.atomic():
        draft = locked_campaign(campaign)
        require_draft(draft, "launched")
        _check_campaign(draft)
        draft.status_detail = ""
        if undo_for and draft.scheduled_at is None and not approval.is_needed(draft):
            draft.scheduled_at = clock.about_now() + undo_for
        _set_off(draft, by)
        draft.save(update_fields=[*SET_OFF, "scheduled_at"])
        announce(draft, by)
    return draft


def approve(
    campaign: Campaign, by: User, approval_hash: str = "", comment: str = "", undo_for: timedelta | None = None
) -> Campaign:
    """Approve, as a second person, and set off. `approval_hash`: what the approver has seen, if they say so.
    `undo_for`: as of `launch`.

    A schedule that passed while it waited for the approval starts at once, as late as a due campaign may start. Raises
    InvalidState unless it waits for approval as it was asked for, PermissionDenied, and whatever `launch` raises.
    """
    approval.require_approver(campaign, by)
    grace = timedelta(seconds=settings.LATE_START_WINDOW)
    require_may(campaign, CampaignStatus.RUNNING, CampaignStatus.AWAITING_APPROVAL)
    _check_campaign(campaign, grace)
    with transaction.atomic():
        waiting = locked_campaign(campaign)
        require_may(waiting, CampaignStatus.RUNNING, CampaignStatus.AWAITING_APPROVAL)
        approval.require_approver(waiting, by)
        _check_campaign(waiting, grace)
        if approval.is_void(waiting) or approval_hash not in ("", waiting.approval_hash):
            raise InvalidState(
                "This campaign is not what was to be approved any more. Look at it again.",
                current_status=waiting.status,
                approval_hash=approval.content_hash(waiting),
            )
        waiting.approved_by, waiting.approved_at, waiting.status_detail = by, clock.about_now(), ""
        if undo_for and waiting.scheduled_at is None:
            waiting.scheduled_at = clock.about_now() + undo_for
            waiting.approval_hash = approval.content_hash(waiting)
        note(waiting, "approved", by, after={"approval_hash": waiting.approval_hash, "comment": comment})
        _set_off(waiting, by)
        waiting.save(update_fields=[*SET_OFF, "scheduled_at"])
        announce(waiting, by)
    return waiting


def reject(campaign: Campaign, by: User, comment: str) -> Campaign:
    """Refuse approval, as a second person: it is a draft again, with the reason on it. A resend is cancelled: as a
    draft it would start again by itself. Raises InvalidState unless it waits for approval, and PermissionDenied."""
    with transaction.atomic():
        waiting = locked_campaign(campaign)
        require_may(waiting, CampaignStatus.DRAFT, CampaignStatus.AWAITING_APPROVAL)
        approval.require_approver(waiting, by)
        detail = Sentence(gettext_noop("Not approved by %(by)s: %(comment)s"), by=by.username, comment=comment)
        if waiting.resend_of_id is None:
            _make_draft(waiting, detail)
        else:
            waiting.status, waiting.status_detail = CampaignStatus.CANCELLED, detail
            waiting.completed_at = clock.about_now()
            waiting.save(update_fields=["status", "status_detail", "completed_at"])
            webhook_events.emit_event(waiting)
        note(waiting, "rejected", by, after={"status": waiting.status, "comment": comment})
    return waiting


def withdraw(campaign: Campaign, by: User) -> Campaign:
    """Back to a draft, which voids its approval. Raises InvalidState unless it waits for its approval or its time, and
    for what never was a draft of its own: a single send or a resend.

    A time that is over before anybody could launch it again, as that of `undo_for` is, is dropped.
    """
    with transaction.atomic():
        waiting = locked_campaign(campaign)
        before = waiting.status
        require_may(waiting, CampaignStatus.DRAFT)
        if waiting.kind != CampaignKind.BULK or waiting.resend_of_id is not None:
            raise InvalidState("This can be cancelled, not changed.", current_status=before)
        _make_draft(waiting)
        note(waiting, "withdrawn", by, before={"status": before}, after={"status": waiting.status})
    return waiting


def _make_draft(waiting: Campaign, detail: str | Sentence = "") -> None:
    """In the caller's transaction, which holds its row."""
    waiting.status, waiting.status_detail = CampaignStatus.DRAFT, detail
    waiting.approval_hash, waiting.approval_requested_by = "", None
    waiting.approved_by, waiting.approved_at = None, None
    soon = clock.about_now() + timedelta(seconds=settings.UNDO_SECONDS)
    if waiting.scheduled_at is not None and waiting.scheduled_at <= soon:
        waiting.scheduled_at = None
    pricing.undo_admission(waiting)
    waiting.save(update_fields=[*SET_OFF, "scheduled_at"])


def set_off_gathered(resend: Campaign) -> None:
    """Set off a resend whose recipients are all there; inside the caller's transaction, which holds its row."""
    if not CAMPAIGN.may(CampaignStatus(resend.status), CampaignStatus.RUNNING, Actor.PIPELINE):
        raise not_from(resend, CampaignStatus.RUNNING)
    _set_off(resend, resend.user)
    resend.save(update_fields=SET_OFF)
    announce(resend, None)
    settle_status([resend.pk], clock.about_now())  # with no recipient at all it is complete


def pause(campaign: Campaign, by: User) -> Campaign:
    """Raises InvalidState unless it is running or scheduled."""
    return move(
        campaign,
        by,
        "paused",
        CampaignStatus.PAUSED,
        pause_reason=PauseReason.BY_USER,
        status_detail=Sentence(gettext_noop("Paused by %(by)s."), by=by.username),
    )


def resume(campaign: Campaign, by: User) -> Campaign:
    """Go on where it stopped. Raises InvalidState unless it is paused or missed, and as it was approved."""
    stopped = CampaignStatus.PAUSED, CampaignStatus.MISSED
    if campaign.status not in stopped:
        raise not_from(campaign, CampaignStatus.RUNNING, *stopped)
    require_active(campaign.account)
    if campaign.started_at is None and approval.is_void(campaign):
        raise InvalidState("This campaign is not what was approved any more.", current_status=campaign.status)
    now = clock.about_now()
    if campaign.scheduled_at and campaign.scheduled_at > now:
        return move(campaign, by, "resumed", CampaignStatus.SCHEDULED, pause_reason="", status_detail="")
    resumed = move(
        campaign,
        by,
        "resumed",
        CampaignStatus.RUNNING,
        pause_reason="",
        status_detail="",
        started_at=campaign.started_at or now,
    )
    settle_status([campaign.pk], now)
    for task in ("messaging.sweep", "messaging.expand", "messaging.dispatch_singles", "messaging.dispatch_campaigns"):
        enqueue(task)
    return resumed


def cancel(campaign: Campaign, by: User) -> Campaign:
    """Stop for good. Messages in a call cannot be stopped; the others are closed as cancelled by the sweep."""
    cancelled = move(
        campaign,
        by,
        "cancelled",
        CampaignStatus.CANCELLED,
        pause_reason="",
        status_detail=Sentence(gettext_noop("Cancelled by %(by)s."), by=by.username),
        completed_at=clock.about_now(),
    )
    enqueue("messaging.sweep")
    return cancelled


def _require_recipients(audience: Audience) -> None:
    if not audience.recipient_count:
        raise ValidationError("There is no recipient to send to.", "phone_numbers")


def _check_campaign(campaign: Campaign, grace: timedelta = SCHEDULE_GRACE) -> None:
    _require_recipients(campaign.audience)
    check_request(campaign.account, request_of(campaign), campaign.audience.columns, grace)


def _set_off(campaign: Campaign, by: User) -> None:
    """Decide where a checked campaign goes: to a second person, or on its way, for which its credit is reserved. Not
    saved here; in the transaction that saves it."""
    _set_canary(campaign)
    if campaign.approved_by_id is not None or not approval.is_needed(campaign):
        pricing.admit(campaign)
        return start_or_schedule(campaign, clock.about_now())
    if campaign.kind == CampaignKind.SINGLE:
        raise TooManyRecipients(
            "So many recipients need the approval of a second person: send them as a campaign.",
            "phone_numbers",
            campaign.total_recipients,
            max=campaign.account.approval_above,
        )
    return ask_for_approval(campaign, by)


def _set_canary(campaign: Campaign) -> None:
    """How many go first, now that all are known. Of so few that the first are all, nobody waits."""
    if campaign.canary_percent is not None:
        campaign.canary_size = ceil(campaign.total_recipients * campaign.canary_percent / 100)
    has_others = campaign.canary_size is not None and campaign.canary_size < campaign.total_recipients
    campaign.canary_state = CanaryState.SENDING if has_others else ""


def ask_for_approval(campaign: Campaign, by: User | None) -> None:
    campaign.status, campaign.approval_requested_by = CampaignStatus.AWAITING_APPROVAL, by
    campaign.approval_hash = approval.content_hash(campaign)
    campaign.approved_by, campaign.approved_at = None, None


def start_or_schedule(campaign: Campaign, now: datetime) -> None:
    """At its time, or at once."""
    if campaign.scheduled_at is not None and campaign.scheduled_at > now:
        campaign.status = CampaignStatus.SCHEDULED
    else:
        campaign.status, campaign.started_at = CampaignStatus.RUNNING, now


def announce(campaign: Campaign, by: User | None) -> None:
    """Tell where it went, and have its work woken; in the transaction that saved it.

    A single send is not noted apart: its own row says who asked for it, when and in which call.
    """
    if campaign.status != CampaignStatus.AWAITING_APPROVAL and campaign.callback_url:
        endpoints.use_callback(campaign.account, campaign.mode, campaign.callback_url)
    webhook_events.emit_event(campaign)
    if campaign.kind == CampaignKind.BULK:
        note(campaign, VERBS[CampaignStatus(campaign.status)], by, after=_facts(campaign))
        enqueue("messaging.expand")  # a single send is expanded by its service, in the same transaction


def _facts(campaign: Campaign) -> dict[str, Any]:
    return {
        "status": campaign.status,
        "total_recipients": campaign.total_recipients,
        "scheduled_at": campaign.scheduled_at.isoformat() if campaign.scheduled_at else None,
    }
