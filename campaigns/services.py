"""What people do with campaigns: create, launch, approve, pause, resume and cancel them.

Pause and cancel lock the campaign's row FOR UPDATE before they return; dispatch reads it FOR KEY SHARE before it
commits an attempt. So no call is prepared after one of them has returned. Calls whose attempt was committed just before
are under way, and the result counts them.
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.models import Account, User
from accounts.suspension import require_active
from accounts.webhooks import endpoints
from campaigns import approval, pricing, webhook_events
from campaigns.choices import CAMPAIGN, RESUMABLE, Actor, CampaignKind, CampaignStatus, CanaryState, PauseReason
from campaigns.models import Campaign
from campaigns.transitions import (
    locked_campaign,
    may_withdraw,
    move,
    not_from,
    note,
    require_draft,
    require_may,
    settle_status,
)
from campaigns.validation import SCHEDULE_GRACE, CampaignRequest, check_request, request_of, write_request
from smsapp.core import clock
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import DuplicateReference, InvalidState, TooManyRecipients, ValidationError
from smsapp.database.prepared_insert import Inserts
from smsapp.lib.sentences import Sentence
from uploads.models import Audience

logger = logging.getLogger(__name__)

_insert_campaigns = Inserts(Campaign)

#: Fields that a launch changes.
LAUNCH_FIELDS = (
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
#: Verbs of the audit log.
VERBS = {
    CampaignStatus.AWAITING_APPROVAL: "approval_requested",
    CampaignStatus.SCHEDULED: "scheduled",
    CampaignStatus.RUNNING: "started",
}


def create_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """Check and store a campaign, and launch it: it starts now, at its time, or once it is approved."""
    check_request(account, request, audience.columns)
    with transaction.atomic():
        return accept_campaign(account, user, request, audience)


def accept_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """Like `create_campaign`, for a checked request and inside the caller's transaction."""
    campaign = admit_campaign(account, user, request, audience)
    store_campaign(campaign)
    return campaign


def admit_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """Return a launched campaign with its credit reserved; `store_campaign` stores it."""
    _require_recipients(audience)
    campaign = unsaved_campaign(account, user, request, audience)
    _launch(campaign, user)
    return campaign


def store_campaign(campaign: Campaign) -> None:
    """Store what `admit_campaign` returned, in the same transaction."""
    save_new(campaign)
    announce(campaign, campaign.user)
    logger.info("campaign %s created with %s recipients", campaign.bulk_id, campaign.total_recipients)


def launch_recurring(campaign: Campaign, by: User, *, is_late: bool) -> None:
    """Store and launch a run of a recurring campaign, in the caller's transaction.

    A late run becomes `missed` and waits for a person.
    """
    _require_recipients(campaign.audience)
    if is_late:
        campaign.status = CampaignStatus.MISSED
        campaign.status_detail = Sentence(gettext_noop("It missed its scheduled time."))
        campaign.scheduled_at = campaign.due_at
        save_new(campaign)
        note(campaign, "missed", None, after={"due_at": campaign.due_at and campaign.due_at.isoformat()})
        return
    _launch(campaign, by)
    save_new(campaign)
    announce(campaign, by)


def unsaved_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """Return a draft with these settings, not stored yet."""
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
    """Save a new campaign, or these fields of one. Raises DuplicateReference with `existing_bulk_id`."""
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
            _("Another send has this client_reference."),
            "client_reference",
            campaign.client_reference,
            existing_bulk_id=other.bulk_id,
        ) from error


def launch(campaign: Campaign, by: User, undo_for: timedelta | None = None) -> Campaign:
    """Launch a draft: it runs now, or waits for its time or its approval.

    `undo_for`: what would run now starts only after this time, and can be withdrawn until then. Raises InvalidState
    unless it is a draft, so one of several simultaneous calls wins, or an SmsappError if it cannot be sent as it is.
    """
    require_draft(campaign)
    _check_campaign(campaign)
    with transaction.atomic():
        draft = locked_campaign(campaign)
        require_draft(draft)
        _check_campaign(draft)
        draft.status_detail = ""
        if undo_for and draft.scheduled_at is None and not approval.is_needed(draft):
            draft.scheduled_at = clock.about_now() + undo_for
        _launch(draft, by)
        draft.save(update_fields=[*LAUNCH_FIELDS, "scheduled_at"])
        announce(draft, by)
    return draft


def approve(
    campaign: Campaign, by: User, approval_hash: str = "", comment: str = "", undo_for: timedelta | None = None
) -> Campaign:
    """Approve and launch a campaign, as a second person.

    `approval_hash`: that of the version which the approver has seen, if known. `undo_for`: see `launch`. A campaign
    whose schedule has passed meanwhile starts now, up to LATE_START_WINDOW late. Raises InvalidState unless it waits
    for approval and has not changed since, PermissionDenied, and whatever `launch` raises.
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
                _("This campaign has changed since approval was requested. Review it again."),
                current_status=waiting.status,
                approval_hash=approval.content_hash(waiting),
            )
        waiting.approved_by, waiting.approved_at, waiting.status_detail = by, clock.about_now(), ""
        if undo_for and waiting.scheduled_at is None:
            waiting.scheduled_at = clock.about_now() + undo_for
            waiting.approval_hash = approval.content_hash(waiting)
        note(waiting, "approved", by, after={"approval_hash": waiting.approval_hash, "comment": comment})
        _launch(waiting, by)
        waiting.save(update_fields=[*LAUNCH_FIELDS, "scheduled_at"])
        announce(waiting, by)
    return waiting


def reject(campaign: Campaign, by: User, comment: str) -> Campaign:
    """Return a campaign to draft instead of approving it, as a second person. A resend is cancelled.

    A resend would start by itself as a draft. Raises InvalidState unless it waits for approval, and PermissionDenied.
    """
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
    """Return a campaign to draft, which voids its approval. Raises InvalidState.

    That needs a campaign that waits for approval or for its time, and not a single send or a resend. A schedule that
    would pass before anybody could launch it again, such as that of `undo_for`, is dropped.
    """
    with transaction.atomic():
        waiting = locked_campaign(campaign)
        before = waiting.status
        require_may(waiting, CampaignStatus.DRAFT)
        if not may_withdraw(waiting):
            raise InvalidState(_("A single send or a resend can only be cancelled."), current_status=before)
        _make_draft(waiting)
        note(waiting, "withdrawn", by, before={"status": before}, after={"status": waiting.status})
    return waiting


def _make_draft(waiting: Campaign, detail: str | Sentence = "") -> None:
    """Make it a draft, in the caller's transaction, which has locked its row."""
    waiting.status, waiting.status_detail = CampaignStatus.DRAFT, detail
    waiting.approval_hash, waiting.approval_requested_by = "", None
    waiting.approved_by, waiting.approved_at = None, None
    soon = clock.about_now() + timedelta(seconds=settings.UNDO_SECONDS)
    if waiting.scheduled_at is not None and waiting.scheduled_at <= soon:
        waiting.scheduled_at = None
    pricing.undo_admission(waiting)
    waiting.save(update_fields=[*LAUNCH_FIELDS, "scheduled_at"])


def launch_resend(resend: Campaign) -> None:
    """Launch a resend that has all its recipients, in the caller's transaction, which has locked its row."""
    if not CAMPAIGN.may(CampaignStatus(resend.status), CampaignStatus.RUNNING, Actor.PIPELINE):
        raise not_from(resend, CampaignStatus.RUNNING)
    _launch(resend, resend.user)
    resend.save(update_fields=LAUNCH_FIELDS)
    announce(resend, None)
    settle_status([resend.pk], clock.about_now())  # without recipients it is complete


def pause(campaign: Campaign, by: User) -> Campaign:
    """Pause a campaign. Raises InvalidState unless it is running or scheduled."""
    return move(
        campaign,
        by,
        "paused",
        CampaignStatus.PAUSED,
        pause_reason=PauseReason.BY_USER,
        status_detail=Sentence(gettext_noop("Paused by %(by)s."), by=by.username),
    )


def resume(campaign: Campaign, by: User) -> Campaign:
    """Continue where the campaign stopped, or wait for its time if that is ahead.

    Raises InvalidState unless it is paused or missed, and unchanged since it was approved, or AccountSuspended.
    """
    if campaign.status not in RESUMABLE:
        raise not_from(campaign, CampaignStatus.RUNNING, *RESUMABLE)
    require_active(campaign.account)
    if campaign.started_at is None and approval.is_void(campaign):
        raise InvalidState(_("This campaign has changed since it was approved."), current_status=campaign.status)
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
    """Cancel a campaign. Messages in a call cannot be stopped; the sweep cancels the others."""
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
        raise ValidationError(_("There are no recipients."), "phone_numbers")


def _check_campaign(campaign: Campaign, grace: timedelta = SCHEDULE_GRACE) -> None:
    _require_recipients(campaign.audience)
    check_request(campaign.account, request_of(campaign), campaign.audience.columns, grace)


def _launch(campaign: Campaign, by: User) -> None:
    """Start, schedule or have approved a checked campaign, and reserve its credit unless it waits for approval.

    Call it in the transaction that saves the campaign afterwards.
    """
    _set_canary(campaign)
    if campaign.approved_by_id is not None or not approval.is_needed(campaign):
        pricing.admit(campaign)
        return start_or_schedule(campaign, clock.about_now())
    if campaign.kind == CampaignKind.SINGLE:
        raise TooManyRecipients(
            _("This many recipients need the approval of a second person. Send to them as a campaign."),
            "phone_numbers",
            campaign.total_recipients,
            max=campaign.account.approval_above,
        )
    return ask_for_approval(campaign, by)


def _set_canary(campaign: Campaign) -> None:
    """Set the size of the canary, now that all recipients are known. One that covers them all is none."""
    if campaign.canary_percent is not None:
        campaign.canary_size = ceil(campaign.total_recipients * campaign.canary_percent / 100)
    has_others = campaign.canary_size is not None and campaign.canary_size < campaign.total_recipients
    campaign.canary_state = CanaryState.SENDING if has_others else ""


def ask_for_approval(campaign: Campaign, by: User | None) -> None:
    campaign.status, campaign.approval_requested_by = CampaignStatus.AWAITING_APPROVAL, by
    campaign.approval_hash = approval.content_hash(campaign)
    campaign.approved_by, campaign.approved_at = None, None


def start_or_schedule(campaign: Campaign, now: datetime) -> None:
    if campaign.scheduled_at is not None and campaign.scheduled_at > now:
        campaign.status = CampaignStatus.SCHEDULED
    else:
        campaign.status, campaign.started_at = CampaignStatus.RUNNING, now


def announce(campaign: Campaign, by: User | None) -> None:
    """Emit the event of a launched campaign and enqueue its work, in the transaction that saved it.

    A single send has no audit event: its own row says who asked for it, when and in which call.
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
