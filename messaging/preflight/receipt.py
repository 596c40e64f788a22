"""The receipt before sending: how many messages to which countries, in how many segments, at what price.

It also says who is left out and why. It is exact: every text is made as it will be sent.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from accounts.billing.credit import amount_of
from accounts.choices import Mode
from accounts.models import Account
from campaigns.approval import audience_hash, is_needed
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.scheduling.quiet_hours import Locality
from campaigns.texts.rendering import Template
from messaging.choices import Reason
from messaging.gateways import registry
from messaging.preflight.counting import Count, counted, last_count
from messaging.routing import throttle
from messaging.routing.sender_rates import own_rates
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState
from uploads.choices import RowReason

LARGE = 1000  # recipients; smaller campaigns say little about the pace
LOOKED_BACK = 200  # newest campaigns compared with text and recipients
BEFORE_SENDING = (CampaignStatus.DRAFT, CampaignStatus.AWAITING_APPROVAL, CampaignStatus.SCHEDULED)
NO_TEXT = (Reason.MISSING_VALUE, Reason.TEXT_TOO_LONG, Reason.EMPTY_TEXT)


@dataclass(frozen=True, slots=True)
class Country:
    country: str
    recipients: int
    segments: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Warned:
    code: str
    message: str
    bulk_id: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a campaign would send.

    `progress`: the share that is counted, 0 to 1; until it is 1 the counts are those of this share. `seconds`: to
    submit all of it, at the lowest rate that is set or else at the pace of earlier large campaigns; None if neither is
    known. `quiet`: recipients in quiet hours when it starts; `quiet_until`: when the last of them can be texted. Money
    is in the account's currency; `balance_after` is None for an account that does not prepay, and in test mode.
    """

    progress: float
    counted_at: datetime | None
    recipients: int
    segments: int
    price: Decimal
    currency: str
    countries: list[Country]
    removed: dict[str, int]
    removed_count: int
    encodings: dict[str, int]
    longest: dict[str, int]
    seconds: int | None
    quiet: int
    quiet_until: datetime | None
    balance_after: Decimal | None
    needs_approval: bool
    warnings: list[Warned]


def preflight(campaign: Campaign) -> Receipt:
    """Return the receipt as far as it is counted (see `counted`).

    Raises InvalidState once the campaign has been started, and TemplateVariableMissing.
    """
    _require_countable(campaign)
    Template(campaign.message).bind(campaign.audience.columns if campaign.total_recipients else ())
    return _receipt(campaign, counted(campaign))


def stored_receipt(campaign: Campaign) -> Receipt | None:
    """Return the last receipt of this text and these recipients, however old; None if there is none."""
    count = last_count(campaign)
    return _receipt(campaign, count) if count else None


def _require_countable(campaign: Campaign) -> None:
    is_gathering = campaign.resend_of_id is not None and campaign.status == CampaignStatus.DRAFT
    if campaign.kind != CampaignKind.BULK or campaign.status not in BEFORE_SENDING or is_gathering:
        raise InvalidState(
            _("Only a campaign that has not been started has a receipt."),
            current_status=campaign.status,
            allowed=[status.value for status in BEFORE_SENDING],
        )


def _receipt(campaign: Campaign, count: Count) -> Receipt:
    account = campaign.account
    prepays = account.is_metered and campaign.mode == Mode.LIVE
    left = Account.objects.values_list("balance_micro", flat=True).get(pk=account.pk) if prepays else 0
    left += campaign.reserved_micro - count.price_micro
    countries = sorted(count.countries.items(), key=lambda item: (-item[1][0], item[0]))
    is_complete = count.is_complete(campaign)
    is_before = campaign.status in BEFORE_SENDING
    rate = _rate_of(campaign)
    seconds = None if rate is None else round(count.recipients / rate)
    quiet, quiet_until = _deferred(campaign, count)
    return Receipt(
        progress=1.0 if is_complete else round(count.chunks / campaign.chunk_count, 3),
        counted_at=datetime.fromisoformat(count.counted_at) if count.counted_at else None,
        recipients=count.recipients,
        segments=count.segments,
        price=amount_of(count.price_micro),
        currency=account.currency,
        countries=[Country(code, people, segments, amount_of(price)) for code, (people, segments, price) in countries],
        removed=_removed(count),
        removed_count=sum(count.removed.values()),
        encodings={"gsm7": 0, "ucs2": 0} | count.encodings,
        longest={"length": count.longest_length, "segments": count.longest_segments, "row": count.longest_row},
        seconds=seconds,
        quiet=quiet,
        quiet_until=quiet_until,
        balance_after=amount_of(left) if prepays else None,
        needs_approval=is_before and campaign.approved_by_id is None and is_needed(campaign),
        warnings=_warnings(campaign, count, seconds, left if prepays else 0) if is_complete else [],
    )


def _rate_of(campaign: Campaign) -> float | None:
    """Return the messages a second that it will probably make."""
    gateway = registry.SIMULATOR if campaign.mode == Mode.TEST else registry.preferred()
    ceilings = [own.rate for own in own_rates(campaign)]
    if gateway and (ceiling := throttle.ceiling_of(gateway)):
        ceilings.append(ceiling)
    return min(ceilings, default=None) or _pace_before(campaign)


def _pace_before(campaign: Campaign) -> float | None:
    """Return the best pace of the account's last large campaigns: others were slowed by pauses or quiet hours."""
    found = Campaign.objects.for_account(campaign.account, campaign.mode).filter(
        kind=CampaignKind.BULK, total_recipients__gte=LARGE, started_at__isnull=False, completed_at__isnull=False
    )
    spans = found.order_by("-pk").values_list("total_recipients", "started_at", "completed_at")[:LOOKED_BACK]
    paces = [total / max((ended - began).total_seconds(), 1.0) for total, began, ended in spans if began and ended]
    return max(paces, default=None)


def _deferred(campaign: Campaign, count: Count) -> tuple[int, datetime | None]:
    """Return how many recipients are in quiet hours when it starts, and when the last of these end."""
    begins = max(clock.about_now(), campaign.scheduled_at or clock.about_now())
    due_times = {name: Locality.named(name).due_after(begins) for name in count.quiet}
    deferred = {name: due_at for name, due_at in due_times.items() if due_at > begins}
    return sum(count.quiet[name] for name in deferred), max(deferred.values(), default=None)


def _removed(count: Count) -> dict[str, int]:
    """Return counts by kind. Every reason for a rejected row, except repetition, is `invalid`."""
    removed = Counter(count.removed)
    told = {RowReason.DUPLICATE.value, Reason.OPTED_OUT.value, *(reason.value for reason in NO_TEXT)}
    invalid = sum(number for reason, number in removed.items() if reason not in told)
    return {
        "invalid": invalid,
        "duplicate": removed[RowReason.DUPLICATE.value],
        "opted_out": removed[Reason.OPTED_OUT.value],
        "no_text": sum(removed[reason.value] for reason in NO_TEXT),
    }


def _warnings(campaign: Campaign, count: Count, seconds: int | None, left: int) -> list[Warned]:
    warnings = []
    if not count.recipients:
        warnings.append(Warned("nobody", "Nobody would receive this."))
    if left < 0:
        warnings.append(Warned("not_covered", "The credit of the account does not cover this."))
    if count.unpriced and campaign.account.is_metered:
        warnings.append(Warned("no_price", f"There is no price for {count.unpriced:,} of the recipients."))
    if count.roadless:
        told = "No gateway is set up yet for {:,} of the recipients: their messages wait until one is."
        warnings.append(Warned("no_route", told.format(count.roadless)))
    begins = max(clock.about_now(), campaign.scheduled_at or clock.about_now())
    ends = max(begins + timedelta(seconds=seconds or 0), _deferred(campaign, count)[1] or begins)
    if campaign.valid_until and ends > campaign.valid_until:
        warnings.append(Warned("too_late", "Some of it can only be sent after the time that you set as the last."))
    if twin := _sent_today(campaign):
        warnings.append(Warned("already_sent", "The same text went to the same recipients today.", twin.bulk_id))
    return warnings


def _sent_today(campaign: Campaign) -> Campaign | None:
    """Return another campaign with this text and these recipients that was started today (UTC)."""
    midnight = clock.about_now().replace(hour=0, minute=0, second=0, microsecond=0)
    others = Campaign.objects.for_account(campaign.account, campaign.mode).filter(kind=CampaignKind.BULK)
    recent = others.exclude(pk=campaign.pk).select_related("audience").order_by("-pk")[:LOOKED_BACK]
    wanted = None
    for other in recent:
        is_alike = (other.message, other.total_recipients) == (campaign.message, campaign.total_recipients)
        if not is_alike or other.started_at is None or other.started_at < midnight:
            continue
        wanted = wanted or audience_hash(campaign.audience)
        if other.audience_id == campaign.audience_id or audience_hash(other.audience) == wanted:
            return other
    return None
