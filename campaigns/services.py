"""The life of a campaign: the only place that moves its status.

Pause and cancel take the campaign's row FOR UPDATE before they answer; dispatch reads it FOR KEY SHARE before it
commits an attempt. So once one of them has answered no call is prepared any more; those whose attempt was committed
just before are on their way, and the answer counts them.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.choices import Mode
from accounts.models import Account, User
from accounts.services import require_active, require_sender
from campaigns.choices import CAMPAIGN, Actor, CampaignKind, CampaignStatus, PauseReason
from campaigns.models import Campaign
from campaigns.rendering import Template
from smsapp.exceptions import InvalidState, MessageTooLong, ScheduleInPast, ValidationError
from smsapp.lib.text import MAX_TEXT_LENGTH, forbidden_characters
from smsapp.wake import wake
from uploads.models import Audience
from uploads.services import audience_to_fill

logger = logging.getLogger(__name__)

SCHEDULE_GRACE = timedelta(seconds=60)  # "now" written by a client whose clock is a little behind
SCHEDULE_MAX = timedelta(days=365)
#: Nothing of it goes on by itself. A paused campaign may be resumed, and then sends what waits: that is no failure.
RESENDABLE = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED, CampaignStatus.FAILED)


@dataclass(frozen=True, slots=True)
class CampaignRequest:
    """What a door asks for. Times are aware; `valid_until` None means no limit."""

    kind: CampaignKind
    message: str
    name: str = ""
    sender_id: str = ""
    mode: Mode = Mode.LIVE
    scheduled_at: datetime | None = None
    valid_until: datetime | None = None
    callback_url: str = ""
    request_id: str = ""


def check_message(message: str, columns: Sequence[str] = ()) -> None:
    """The rules of a text before any value is filled in.

    Raises ValidationError, MessageTooLong (over 1,600 characters) or TemplateVariableMissing, all naming `message`.
    """
    if not message.strip():
        raise ValidationError("The message is empty.", "message", message)
    if forbidden := forbidden_characters(message):
        raise ValidationError(
            f"The message contains a character that no text message may contain: {forbidden[0]!r}.", "message", message
        )
    if len(message) > MAX_TEXT_LENGTH:
        raise MessageTooLong(
            f"The message has {len(message)} characters; {MAX_TEXT_LENGTH} are allowed.",
            "message", message, length=len(message), max=MAX_TEXT_LENGTH,
        )  # fmt: skip
    Template(message).bind(columns)


def check_schedule(scheduled_at: datetime | None, valid_until: datetime | None) -> None:
    """Raises ScheduleInPast or ValidationError."""
    now = timezone.now()
    if scheduled_at is not None:
        if scheduled_at < now - SCHEDULE_GRACE:
            raise ScheduleInPast("The schedule time is in the past.", "schedule_time", scheduled_at.isoformat())
        if scheduled_at > now + SCHEDULE_MAX:
            raise ValidationError(
                "The schedule time is more than a year away.", "schedule_time", scheduled_at.isoformat()
            )
    if valid_until is not None and valid_until <= max(now, scheduled_at or now):
        raise ValidationError("Nothing could be sent before this time.", "valid_until", valid_until.isoformat())


def check_request(account: Account, request: CampaignRequest, columns: Sequence[str] = ()) -> None:
    """Everything that can be refused before an audience exists. Raises an SmsappError."""
    require_active(account)
    check_message(request.message, columns)
    require_sender(account, request.sender_id)
    check_schedule(request.scheduled_at, request.valid_until)


def create_campaign(account: Account, user: User, request: CampaignRequest, audience: Audience) -> Campaign:
    """Store a checked request as a campaign that starts at once or at its time; its work is woken on commit."""
    check_request(account, request, audience.columns)
    if not audience.recipient_count:
        raise ValidationError("There is no recipient to send to.", "phone_numbers")
    starts_now = request.scheduled_at is None or request.scheduled_at <= timezone.now()
    campaign = Campaign.objects.create(
        account=account,
        user=user,
        kind=request.kind,
        mode=request.mode,
        bulk_id=f"bulk-{secrets.token_hex(10)}",
        name=request.name,
        message=request.message,
        sender_id=request.sender_id,
        callback_url=request.callback_url,
        request_id=request.request_id,
        audience=audience,
        status=CampaignStatus.RUNNING if starts_now else CampaignStatus.SCHEDULED,
        scheduled_at=request.scheduled_at,
        valid_until=request.valid_until,
        started_at=timezone.now() if starts_now else None,
        total_recipients=audience.recipient_count,
        chunk_count=audience.chunk_count,
    )
    logger.info("campaign %s created with %s recipients", campaign.bulk_id, campaign.total_recipients)
    if request.kind is CampaignKind.BULK:  # a single send is expanded by its service, in the same transaction
        wake("messaging.expand")
    return campaign


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


def start_gathered(resend: Campaign) -> None:
    """Start a resend whose recipients are all there; inside the caller's transaction, which holds its row."""
    now = timezone.now()
    if not CAMPAIGN.may(CampaignStatus(resend.status), CampaignStatus.RUNNING, Actor.PIPELINE):
        raise _not_from(resend, CampaignStatus.RUNNING)
    resend.status, resend.started_at = CampaignStatus.RUNNING, now
    resend.save(update_fields=["status", "started_at"])
    settle_status([resend.pk], now)  # with no recipient at all it is complete
    wake("messaging.expand")


def start_due(now: datetime) -> int:
    """Start every campaign whose time has come; those later than the window become `missed`. How many started."""
    too_late = now - timedelta(seconds=settings.LATE_START_WINDOW)
    missed = (
        Campaign.objects.due(now)
        .filter(scheduled_at__lt=too_late)
        .update(status=CampaignStatus.MISSED, status_detail="Its time passed while the service was not running.")
    )
    if missed:
        logger.warning("%s campaigns missed their time and wait for a decision", missed)
    started = Campaign.objects.due(now).update(status=CampaignStatus.RUNNING, started_at=now)
    if started:
        wake("messaging.sweep")  # takes up what was set aside meanwhile
        wake("messaging.expand")
        wake("messaging.dispatch_singles")
        wake("messaging.dispatch_campaigns")
    return started


def miss_uncertain(now: datetime, detail: str) -> int:
    """Due campaigns whose recipients are not all stored become `missed`, since a database that was restored cannot
    know whether they were started before. How many."""
    uncertain = Campaign.objects.due(now).filter(chunks_done__lt=F("chunk_count"))
    return uncertain.update(status=CampaignStatus.MISSED, status_detail=detail)


def pause(campaign: Campaign, by: User) -> Campaign:
    """Raises InvalidState unless it is running or scheduled."""
    return _move(
        campaign, CampaignStatus.PAUSED, pause_reason=PauseReason.BY_USER, status_detail=f"Paused by {by.username}."
    )


def pause_for_gateway(campaign_id: int, detail: str) -> bool:
    """Pause a running campaign because the gateway refuses our account; False if it was not running."""
    return _pause_running(campaign_id, PauseReason.GATEWAY_REFUSED, detail)


def pause_for_defect(campaign_id: int, detail: str) -> bool:
    """Pause a running campaign that cannot go on through no fault of its owner; False if it was not running."""
    return _pause_running(campaign_id, PauseReason.DEFECT, detail)


def resume(campaign: Campaign, by: User) -> Campaign:
    """Go on where it stopped. Raises InvalidState unless it is paused or missed."""
    if campaign.status not in (CampaignStatus.PAUSED, CampaignStatus.MISSED):
        raise _not_from(campaign, CampaignStatus.RUNNING)
    require_active(campaign.account)
    now = timezone.now()
    if campaign.scheduled_at and campaign.scheduled_at > now:
        return _move(campaign, CampaignStatus.SCHEDULED, pause_reason="", status_detail="")
    resumed = _move(
        campaign, CampaignStatus.RUNNING, pause_reason="", status_detail="", started_at=campaign.started_at or now
    )
    settle_status([campaign.pk], now)
    logger.info("campaign %s resumed by user %s", campaign.bulk_id, by.pk)
    for task in (
        "messaging.sweep", "messaging.expand", "messaging.dispatch_singles", "messaging.dispatch_campaigns"
    ):  # fmt: skip
        wake(task)
    return resumed


def cancel(campaign: Campaign, by: User) -> Campaign:
    """Stop for good. Messages in a call cannot be stopped; the others are closed as cancelled by the sweep."""
    cancelled = _move(
        campaign, CampaignStatus.CANCELLED, pause_reason="", status_detail=f"Cancelled by {by.username}.",
        completed_at=timezone.now(),
    )  # fmt: skip
    wake("messaging.sweep")
    return cancelled


def settle_status(campaign_ids: Sequence[int], now: datetime) -> None:
    """Complete what has nothing left to hand over, close what has nothing left to learn."""
    among = Campaign.objects.filter(pk__in=campaign_ids, queued__lte=0, unknown__lte=0)
    among.filter(
        status__in=CAMPAIGN.sources(CampaignStatus.COMPLETED, Actor.PIPELINE), chunks_done=F("chunk_count")
    ).update(status=CampaignStatus.COMPLETED, completed_at=now)  # fmt: skip
    among.filter(
        Q(status=CampaignStatus.COMPLETED) | Q(status=CampaignStatus.CANCELLED), closed_at=None, sent__lte=0
    ).update(closed_at=now)  # fmt: skip


def _pause_running(campaign_id: int, reason: PauseReason, detail: str) -> bool:
    values = {"pause_reason": reason, "status_detail": detail[:300]}
    return _moved(campaign_id, CampaignStatus.PAUSED, Actor.PIPELINE, values)


def _move(campaign: Campaign, to: CampaignStatus, **values: object) -> Campaign:
    """A person's move; raises InvalidState if it is not allowed."""
    moved = _moved(campaign.pk, to, Actor.PERSON, values)
    current = Campaign.objects.get(pk=campaign.pk)
    if not moved:
        raise _not_from(current, to)
    return current


def _moved(campaign_id: int, to: CampaignStatus, actor: Actor, values: Mapping[str, object]) -> bool:
    """Make one move; False if the table does not allow it.

    The row is written twice. The first time shows the move to everybody at once, so that no stream of new attempts,
    each sharing the row with the one before, keeps its lock from us. The second time waits for those under way.
    """
    among = Campaign.objects.filter(pk=campaign_id, status__in=CAMPAIGN.sources(to, actor))
    if not among.update(status=to, **values):
        return False
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        campaign.save(update_fields=["status"])
    logger.info("campaign %s is now %s", campaign.bulk_id, campaign.status)
    return True


def _not_from(campaign: Campaign, to: CampaignStatus) -> InvalidState:
    return InvalidState(
        f"A campaign that is {campaign.get_status_display().lower()} cannot become {to.label.lower()}.",
        current_state=campaign.status,
        allowed=[str(status) for status in CAMPAIGN.sources(to, Actor.PERSON)],
    )
