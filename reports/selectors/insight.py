"""What a campaign's page tells beside its progress: why messages failed, where they went, what was forecast."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import or_

from django.core.cache import cache
from django.db.models import Count, Q, Sum
from django.utils.translation import get_language

from accounts.billing.credit import amount_of
from accounts.models import AuditEvent
from campaigns.models import Campaign
from messaging.choices import MessageStatus, Reason
from messaging.ids import batch_range
from messaging.models import Batch, Message
from messaging.preflight.counting import last_count
from smsapp.lib.phone import country_of_beginning
from uploads.models import AudienceChunk

FAILURES = (
    MessageStatus.UNDELIVERED,
    MessageStatus.REJECTED,
    MessageStatus.FAILED,
    MessageStatus.EXPIRED,
    MessageStatus.SUPPRESSED,
    MessageStatus.UNCONFIRMED,
)
MOST_BATCHES = 100  # with failures, the newest, that are looked at: what this costs has a limit
EVENTS_SHOWN = 20
KEPT = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """`percent`: of all failures looked at."""

    reason: str
    status: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True)
class CountryShare:
    """`code`: ISO 3166, empty for numbers of no country; `percent` of all recipients."""

    code: str
    recipients: int
    percent: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of forecast against actual; None where it is not known."""

    label: str
    forecast: Decimal | int | None
    actual: Decimal | int | None


def failures(campaign: Campaign) -> list[Failure]:
    """Reasons, the most frequent first, of the newest failures: of up to MOST_BATCHES batches that have some.

    Reading a hundred batches takes some forty milliseconds, so the answer is kept until more has failed.
    """
    so_many = sum(getattr(campaign, status.label) for status in FAILURES)
    key = f"failures:{campaign.pk}:{so_many}:{get_language()}"  # reasons are in the reader's words
    known: list[Failure] | None = cache.get(key)
    if known is None:
        known = _failures(campaign)
        cache.set(key, known, KEPT)
    return known


def _failures(campaign: Campaign) -> list[Failure]:
    has_some = reduce(or_, (Q(**{f"{status.label}__gt": 0}) for status in FAILURES))
    batches = Batch.objects.filter(has_some, campaign=campaign).order_by("-id").values_list("id", flat=True)
    ranges = [Q(id__range=batch_range(batch)) for batch in batches[:MOST_BATCHES]]
    if not ranges:
        return []
    rows = Message.objects.filter(reduce(or_, ranges), status__in=FAILURES).values_list("status", "reason")
    counts = list(rows.annotate(n=Count("id")).order_by("-n"))
    total = sum(count for _, _, count in counts)
    return [
        Failure(
            reason=str(Reason(reason).label) if reason else MessageStatus(status).label.capitalize(),
            status=MessageStatus(status).label,
            count=count,
            percent=100 * count / total,
        )
        for status, reason, count in counts
    ]


def countries(campaign: Campaign, most: int = 12) -> list[CountryShare]:
    """Where its recipients are, the most first, by the first digits of their numbers."""
    counted: Counter[str] = Counter()
    chunks = AudienceChunk.objects.filter(audience=campaign.audience_id).values_list("prefix_counts", flat=True)
    digits: Counter[str] = Counter()
    for counts in chunks.iterator(chunk_size=200):
        digits.update(counts)
    for prefix, count in digits.items():
        counted[country_of_beginning(prefix)] += count
    total = sum(counted.values())
    return [CountryShare(code, count, 100 * count / total) for code, count in counted.most_common(most)]


def compared(campaign: Campaign) -> list[Compared]:
    """Forecast against actual, so far; empty for a campaign that was not counted, all of it, before."""
    forecast = last_count(campaign)
    if forecast is None or not forecast.is_complete(campaign):
        return []
    segments = Batch.objects.filter(campaign=campaign).aggregate(sum=Sum("segments"))["sum"] or 0
    made = campaign.total_recipients - campaign.waiting
    lines = [
        Compared("Messages", forecast.recipients, made - campaign.suppressed - campaign.failed),
        Compared("Segments", forecast.segments, segments),
    ]
    if forecast.price_micro:
        price = amount_of(forecast.price_micro)
        lines.append(Compared(f"Price ({campaign.account.currency})", price, amount_of(campaign.charged_micro)))
    return lines


def history(campaign: Campaign) -> Iterable[AuditEvent]:
    """Who did what to it, newest first."""
    events = AuditEvent.objects.filter(account=campaign.account_id, target_type="campaign", target_id=campaign.bulk_id)
    return events.select_related("user").order_by("-id")[:EVENTS_SHOWN]
