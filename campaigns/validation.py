"""Rules for what a campaign may ask for: its text, sender, times, canary and callback URL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.choices import Mode
from accounts.models import Account
from accounts.senders import require_sender
from accounts.suspension import require_active
from accounts.webhooks import endpoints
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.texts.rendering import Template
from smsapp.core import clock
from smsapp.core.exceptions import MessageTooLong, Problems, ScheduleInPast, ValidationError
from smsapp.lib.moments import utc_text
from smsapp.lib.sentences import Sentence, gettext_noop
from smsapp.lib.text import MAX_TEXT_LENGTH, forbidden_characters

SCHEDULE_GRACE = timedelta(seconds=60)  # for clients that write "now" and whose clock is a little slow
SCHEDULE_MAX = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class CampaignRequest:
    """The settings of a campaign. Times are aware; `valid_until` None means no limit.

    `quiet_from` and `quiet_until`, in the recipient's local time, override the account's quiet hours. A canary of
    `canary_size` recipients, or `canary_percent` of all, goes first. The others follow if `canary_floor` percent of it
    are reported delivered within `canary_wait` seconds.
    """

    kind: CampaignKind
    message: str
    name: str = ""
    sender_id: str = ""
    mode: Mode = Mode.LIVE
    scheduled_at: datetime | None = None
    valid_until: datetime | None = None
    callback_url: str = ""
    request_id: str = ""
    client_reference: str | None = None
    quiet_from: time | None = None
    quiet_until: time | None = None
    canary_size: int | None = None
    canary_percent: int | None = None
    canary_wait: int = 900
    canary_floor: int = 80


#: Fields of a request that have the same names on a campaign and on a recurring campaign.
COPIED = (
    "name",
    "message",
    "sender_id",
    "callback_url",
    "quiet_from",
    "quiet_until",
    "canary_size",
    "canary_percent",
    "canary_wait",
    "canary_floor",
)
MAX_CANARY_WAIT = 86_400  # seconds


def check_text(message: str) -> None:
    """Check a text before anything about its recipients is known.

    Raises ValidationError or MessageTooLong, both with the field `message`.
    """
    if not message.strip():
        raise ValidationError(_("The message is empty."), "message", message, problem="BLANK")
    if forbidden := forbidden_characters(message):
        reason = Sentence(
            gettext_noop("The message contains a character that a text message cannot contain: %(character)s."),
            character=repr(forbidden[0]),
        )
        raise ValidationError(reason, "message", message, problem="CONTROL_CHARACTERS")
    if len(message) > MAX_TEXT_LENGTH:
        reason = Sentence(
            gettext_noop("The message has %(length)d characters; %(max)d are allowed."),
            length=len(message),
            max=MAX_TEXT_LENGTH,
        )
        raise MessageTooLong(reason, "message", message, length=len(message), max=MAX_TEXT_LENGTH)


def check_message(message: str, columns: Sequence[str] = ()) -> None:
    """Check a text for recipients with these columns, before any value is filled in.

    Raises ValidationError, MessageTooLong or TemplateVariableMissing, all with the field `message`.
    """
    check_text(message)
    Template(message).bind(columns)


def check_schedule(scheduled_at: datetime, grace: timedelta = SCHEDULE_GRACE) -> None:
    """Raise ScheduleInPast or ValidationError. `grace`: by how much the time may have passed."""
    now = clock.about_now()
    if scheduled_at < now - grace:
        raise ScheduleInPast(_("The schedule time is in the past."), "schedule_time", utc_text(scheduled_at))
    if scheduled_at > now + SCHEDULE_MAX:
        reason = _("The schedule time is more than a year away.")
        raise ValidationError(reason, "schedule_time", utc_text(scheduled_at))


def check_validity(valid_until: datetime, scheduled_at: datetime | None) -> None:
    now = clock.about_now()
    if valid_until <= max(now, scheduled_at or now):
        reason = _("Give a time that is in the future and after the schedule time.")
        raise ValidationError(reason, "valid_until", utc_text(valid_until))


def check_quiet_hours(request: CampaignRequest) -> None:
    if (request.quiet_from is None) != (request.quiet_until is None):
        raise ValidationError(_("Give both the start and the end of the quiet hours."), "quiet_until")
    if request.quiet_from is not None and request.quiet_from == request.quiet_until:
        raise ValidationError(_("Quiet hours cannot start and end at the same time."), "quiet_until")


def check_canary(request: CampaignRequest) -> None:
    if request.canary_size is not None and request.canary_percent is not None:
        reason = _("Give the first recipients as a number or in percent, not both.")
        raise ValidationError(reason, "canary_percent", request.canary_percent)
    ranges = (
        ("canary_size", 1, 10**6),
        ("canary_percent", 1, 50),
        ("canary_floor", 1, 100),
        ("canary_wait", 60, MAX_CANARY_WAIT),
    )
    for name, least, most in ranges:
        value = getattr(request, name)
        if value is not None and not least <= value <= most:
            limits = Sentence(gettext_noop("Give a number from %(min)s to %(max)s."), min=f"{least:,}", max=f"{most:,}")
            raise ValidationError(limits, name, value)


def check_request(
    account: Account, request: CampaignRequest, columns: Sequence[str] | None = (), grace: timedelta = SCHEDULE_GRACE
) -> None:
    """Check everything that does not depend on the recipients. Raises an SmsappError that names every problem.

    `columns`: those of the recipients, None if they are not known yet. A callback URL may be looked up in the DNS, so
    call it outside a transaction first.
    """
    require_active(account)
    problems = Problems()
    if columns is None or request.kind == CampaignKind.SINGLE:
        problems.check(check_text, request.message)
    else:
        problems.check(check_message, request.message, columns)
    problems.check(require_sender, account, request.sender_id)
    if request.scheduled_at is not None:
        problems.check(check_schedule, request.scheduled_at, grace)
    if request.valid_until is not None:
        problems.check(check_validity, request.valid_until, request.scheduled_at)
    problems.check(check_quiet_hours, request)
    problems.check(check_canary, request)
    if request.callback_url:
        problems.check(endpoints.check_callback, account, request.mode, request.callback_url)
    problems.refuse()


def write_request(campaign: Campaign, request: CampaignRequest) -> list[str]:
    """Set the fields that may change while the campaign is a draft. Returns their names."""
    names = (*COPIED, "scheduled_at", "valid_until", "client_reference")
    values: dict[str, Any] = {name: getattr(request, name) for name in names}
    for name, value in values.items():
        setattr(campaign, name, value)
    return list(values)


def request_of(campaign: Campaign) -> CampaignRequest:
    """Return the settings as they were asked for: a canary in percent stays in percent."""
    values = {name: getattr(campaign, name) for name in COPIED}
    if campaign.canary_percent is not None:
        values["canary_size"] = None
    return CampaignRequest(
        kind=CampaignKind(campaign.kind),
        mode=Mode(campaign.mode),
        scheduled_at=campaign.scheduled_at,
        valid_until=campaign.valid_until,
        request_id=campaign.request_id,
        client_reference=campaign.client_reference,
        **values,
    )
