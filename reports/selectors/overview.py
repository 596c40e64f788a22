"""What an account's overview and reports tell: figures of days and of spans, where messages went, what needs attention.

Figures come from folded statistics, the rest from the newest campaigns and batches only, so a page costs the same
however many messages there are.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import NamedTuple

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.billing.credit import amount_of
from accounts.choices import EndpointKind, Mode, SenderStatus
from accounts.models import Account, SenderId, WebhookEndpoint
from campaigns.choices import CampaignKind, CampaignStatus, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from messaging.choices import MessageStatus
from messaging.ids import batch_range
from messaging.models import Batch, Message
from reports.selectors.daily import Figures, daily, messages_by_country, total
from reports.selectors.insight import CountryShare
from smsapp.core import clock
from uploads.choices import UploadStatus
from uploads.models import Upload

HANDED_OVER = ("sent", "delivered", "undelivered", "rejected", "unknown", "unconfirmed")
FAILED = ("undelivered", "rejected", "failed", "expired", "unconfirmed")
#: Times to deliver are told by these, in seconds.
TIMES = (
    (2, _("to 2 s")),
    (5, _("to 5 s")),
    (15, _("to 15 s")),
    (60, _("to 1 min")),
    (300, _("to 5 min")),
    (float("inf"), _("longer")),
)
SPANS = (1, 7, 30)  # days, today included
TIMED_BATCHES, TIMED_MESSAGES = 50, 200
MOST_COUNTRIES = 10
GOING_ON = (
    CampaignStatus.RUNNING,
    CampaignStatus.SCHEDULED,
    CampaignStatus.PAUSED,
    CampaignStatus.MISSED,
    CampaignStatus.AWAITING_APPROVAL,
)


class Change(NamedTuple):
    """A figure, the same of the span before, and the change in percent; None where there is nothing to tell."""

    now: float | None
    before: float | None

    @property
    def percent(self) -> float | None:
        if self.now is None or not self.before:
            return None
        return 100 * (self.now - self.before) / self.before


@dataclass(frozen=True, slots=True)
class Span:
    """Figures of the last `days` days, `since` a day (UTC), beside those of as many before; `spend` None for who does
    not pay."""

    days: int
    since: date
    sent: Change
    delivered_percent: Change
    failed: Change
    spend: Change | None


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Seconds from the provider's acceptance to the handset, of the newest `count` delivered messages; `spread`: how
    many took so long, in words."""

    count: int
    median: float
    most: float  # 95 of 100 took no longer
    spread: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Problem:
    text: str
    url: str


def spans(account: Account, mode: Mode, today: date) -> list[Span]:
    """One query."""
    days = daily(account, mode, today - timedelta(days=2 * max(SPANS) - 1), today)
    found = []
    for length in SPANS:
        now = [today - timedelta(days=n) for n in range(length)]
        these, those = total(days[day] for day in now), total(days[day - timedelta(days=length)] for day in now)
        found.append(
            Span(
                days=length,
                since=now[-1],
                sent=Change(handed_over(these), handed_over(those)),
                delivered_percent=Change(delivered_percent(these), delivered_percent(those)),
                failed=Change(failed(these), failed(those)),
                spend=Change(spent(these), spent(those)) if account.is_metered else None,
            )
        )
    return found


def handed_over(figures: Figures) -> int:
    """To a provider, whatever became of them."""
    return sum(figures.tally[status] for status in HANDED_OVER)


def failed(figures: Figures) -> int:
    return sum(figures.tally[status] for status in FAILED)


def spent(figures: Figures) -> float:
    return float(amount_of(figures.spent_micro))


def delivered_percent(figures: Figures) -> float | None:
    """Of what was handed over and is decided; None while nothing is."""
    decided = handed_over(figures) - figures.tally["sent"] - figures.tally["unknown"]
    return 100 * figures.tally["delivered"] / decided if decided else None


def going_on(account: Account, mode: Mode, most: int = 10) -> list[Campaign]:
    """Campaigns that run, wait or need somebody, newest first."""
    found = Campaign.objects.for_account(account, mode).filter(kind=CampaignKind.BULK, status__in=GOING_ON)
    return list(found.order_by("-id")[:most])


def deliveries(account: Account, mode: Mode) -> Deliveries | None:
    """None while nothing was delivered."""
    batches = Batch.objects.filter(account=account, mode=mode, delivered__gt=0).order_by("-id")
    ranges: list[Q] = []
    so_far = 0
    for pk, delivered in batches.values_list("pk", "delivered")[:TIMED_BATCHES]:
        ranges.append(Q(id__range=batch_range(pk)))
        so_far += delivered
        if so_far >= TIMED_MESSAGES:
            break
    if not ranges:
        return None
    rows = Message.objects.filter(reduce(or_, ranges), status=MessageStatus.DELIVERED, sent_at__isnull=False)
    newest = rows.order_by("-id").values_list("sent_at", "done_at")[:TIMED_MESSAGES]
    times = sorted((done - sent).total_seconds() for sent, done in newest if done and sent)
    if not times:
        return None
    return Deliveries(len(times), max(times[len(times) // 2], 0), max(times[len(times) * 95 // 100], 0), _spread(times))


def _spread(times: Sequence[float]) -> list[tuple[str, int]]:
    found, before = [], 0
    for limit, words in TIMES:
        up_to = bisect_right(times, limit)
        found.append((str(words), up_to - before))
        before = up_to
    return found


def countries_of(account: Account, mode: Mode, since: date) -> list[CountryShare]:
    """Where messages went since a day, the most first."""
    counted = messages_by_country(account, mode, since)
    all_of_them = sum(count for _, count in counted)
    return [CountryShare(code, count, 100 * count / all_of_them) for code, count in counted[:MOST_COUNTRIES]]


def largest(account: Account, mode: Mode, since: date, most: int = 25) -> list[Campaign]:
    """The campaigns with the most recipients that were started since a day; single sends are none."""
    made = Campaign.objects.for_account(account, mode).filter(kind=CampaignKind.BULK, started_at__gte=_midnight(since))
    return list(made.order_by("-total_recipients", "-id")[:most])


def problems(account: Account, mode: Mode, campaigns: Sequence[Campaign]) -> list[Problem]:
    """What somebody of the account should look at; `campaigns`: those going on. Four queries."""
    found = [Problem(text, url) for text, url in _of_campaigns(campaigns)]
    if account.is_metered and account.balance_micro < max(account.low_balance_micro, 1):
        found.append(Problem(str(_("The balance is low.")), reverse("usage")))
    failing = WebhookEndpoint.objects.filter(account=account, mode=mode, kind=EndpointKind.ENDPOINT)
    failing = failing.filter(Q(failing_since__isnull=False) | Q(is_active=False))
    rejected = SenderId.objects.filter(account=account, status=SenderStatus.REJECTED)
    unread = Upload.objects.for_account(account).filter(status=UploadStatus.FAILED, uploaded_at__gte=_week_ago())
    stuck = RecurringCampaign.objects.filter(account=account, mode=mode, failure_count__gt=0)
    for rows, one, many, page in (
        (failing, "%d webhook endpoint fails.", "%d webhook endpoints fail.", "developers"),
        (rejected, "%d sender was not approved.", "%d senders were not approved.", "senders"),
        (unread, "%d file could not be read this week.", "%d files could not be read this week.", "upload-list"),
        (
            stuck.exclude(status=RecurringStatus.ENDED),
            "%d recurring campaign fails.",
            "%d recurring campaigns fail.",
            "recurring-list",
        ),
    ):
        if count := rows.count():
            found.append(Problem(ngettext(one, many, count) % count, reverse(page)))
    return found


def _of_campaigns(campaigns: Iterable[Campaign]) -> Iterable[tuple[str, str]]:
    words = {
        CampaignStatus.PAUSED: _("“%(name)s” is paused."),
        CampaignStatus.MISSED: _("“%(name)s” missed its time: send it now, or cancel it."),
        CampaignStatus.AWAITING_APPROVAL: _("“%(name)s” waits for a second person."),
    }
    for campaign in campaigns:
        text = words.get(CampaignStatus(campaign.status))
        if text:
            yield str(text) % {"name": campaign.title}, reverse("campaign-detail", args=[campaign.bulk_id])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _week_ago() -> datetime:
    return clock.about_now() - timedelta(days=7)
