"""What a campaign may ask for: its text, sender, times and callback, before anybody receives anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

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
from smsapp.lib.text import MAX_TEXT_LENGTH, forbidden_characters

SCHEDULE_GRACE = timedelta(seconds=60)  # "now" written by a client whose clock is a little behind
SCHEDULE_MAX = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class CampaignRequest:
    """What an entry point asks for. Times are aware; `valid_until` None means no limit.

    `quiet_from` and `quiet_until`, on the recipient's clock, go before the account's own quiet hours. The first
    `canary_size` recipients, or `canary_percent` of all, go first: for `canary_wait` seconds their reports are awaited,
    of which `canary_floor` hundredths have to say delivered.
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


#: Fields of a request that stand under the same names on a campaign, and on a recurring one.
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
    """The rules of a text whoever it goes to. Raises ValidationError or MessageTooLong (over 1,600 characters), both
    naming `message`."""
    if not message.strip():
        raise ValidationError("The message is empty.", "message", message, problem="BLANK")
    if forbidden := forbidden_characters(message):
        raise ValidationError(
            f"The message contains a character that no text message may contain: {forbidden[0]!r}.",
            "message",
            message,
            problem="CONTROL_CHARACTERS",
        )
    if len(message) > MAX_TEXT_LENGTH:
        raise MessageTooLong(
            f"The message has {len(message)} characters; {MAX_TEXT_LENGTH} are allowed.",
            "message",
            message,
            length=len(message),
            max=MAX_TEXT_LENGTH,
        )


def check_message(message: str, columns: Sequence[str] = ()) -> None:
    """The rules of a text for recipients with these columns, before any value is filled in.

    Raises ValidationError, MessageTooLong or TemplateVariableMissing, all naming `message`.
    """
    check_text(message)
    Template(message).bind(columns)


def check_schedule(scheduled_at: datetime, grace: timedelta = SCHEDULE_GRACE) -> None:
    """`grace`: by how much the schedule may have passed. Raises ScheduleInPast or ValidationError."""
    now = clock.about_now()
    if scheduled_at < now - grace:
        raise ScheduleInPast("The schedule time is in the past.", "schedule_time", utc_text(scheduled_at))
    if scheduled_at > now + SCHEDULE_MAX:
        raise ValidationError("The schedule time is more than a year away.", "schedule_time", utc_text(scheduled_at))


def check_validity(valid_until: datetime, scheduled_at: datetime | None) -> None:
    """Raises ValidationError."""
    now = clock.about_now()
    if valid_until <= max(now, scheduled_at or now):
        raise ValidationError("Nothing could be sent before this time.", "valid_until", utc_text(valid_until))


def check_quiet_hours(request: CampaignRequest) -> None:
    """Raises ValidationError."""
    if (request.quiet_from is None) != (request.quiet_until is None):
        raise ValidationError("Quiet hours have a beginning and an end.", "quiet_until")
    if request.quiet_from is not None and request.quiet_from == request.quiet_until:
        raise ValidationError("Quiet hours that begin and end at the same time are none.", "quiet_until")


def check_canary(request: CampaignRequest) -> None:
    """Raises ValidationError."""
    if request.canary_size is not None and request.canary_percent is not None:
        words = "Give the first recipients as a number or in percent."
        raise ValidationError(words, "canary_percent", request.canary_percent)
    ranges = (
        ("canary_size", 1, 10**6),
        ("canary_percent", 1, 50),
        ("canary_floor", 1, 100),
        ("canary_wait", 60, MAX_CANARY_WAIT),
    )
    for name, least, most in ranges:
        value = getattr(request, name)
        if value is not None and not least <= value <= most:
            raise ValidationError(f"This must be {least:,} to {most:,}.", name, value)


def check_request(
    account: Account, request: CampaignRequest, columns: Sequence[str] | None = (), grace: timedelta = SCHEDULE_GRACE
) -> None:
    """Everything that can be refused whoever the recipients are; `columns`: None while nobody knows. A callback URL
    may be looked up, so not inside a transaction for the first time. Raises an SmsappError, which names all of it."""
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
    """Set what may be changed while it is a draft; the names of these fields."""
    names = (*COPIED, "scheduled_at", "valid_until", "client_reference")
    values: dict[str, Any] = {name: getattr(request, name) for name in names}
    for name, value in values.items():
        setattr(campaign, name, value)
    return list(values)


def request_of(campaign: Campaign) -> CampaignRequest:
    """What was asked for when it was made, or changed: of first recipients in percent, not how many these are."""
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
