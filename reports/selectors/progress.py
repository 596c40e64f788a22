"""How far a campaign is, from its own counters."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.selectors import is_unfinished
from messaging.choices import AttemptState
from messaging.models import Attempt
from smsapp.core import clock

RATE_WINDOW = timedelta(seconds=15)
RATE_ATTEMPTS = 300  # the newest attempts looked at; what bounds the query however large the table is

#: Outcomes in the order of bar and table: (key, label, what it means, shown even when zero).
OUTCOMES = (
    ("delivered", "Delivered", "It reached the handset.", True),
    ("sent", "Sent", "The provider took it; its delivery report is awaited.", True),
    ("undelivered", "Undelivered", "The provider took it and could not deliver it.", True),
    ("rejected", "Rejected", "The provider refused it.", True),
    ("failed", "Failed", "It could not be sent; never handed over.", False),
    ("expired", "Expired", "Its validity ended first; never handed over.", False),
    ("suppressed", "Suppressed", "The recipient has opted out; never handed over.", False),
    ("cancelled", "Cancelled", "The campaign was cancelled; never handed over.", False),
    ("unknown", "Unknown", "The provider's answer was lost; it is being looked up.", False),
    ("unconfirmed", "Unconfirmed", "Closed without proof of delivery; not sent again.", False),
    ("queued", "Queued", "Ready to be handed over.", True),
    ("waiting", "Waiting", "Not yet prepared.", True),
)
UNDECIDED = ("waiting", "queued", "unknown")

#: Seconds between two refreshes of the page; other states change only when somebody acts.
REFRESH = {
    CampaignStatus.DRAFT: 5,  # a resend that gathers its recipients starts by itself
    CampaignStatus.RUNNING: 2,
    CampaignStatus.SCHEDULED: 10,
    CampaignStatus.AWAITING_APPROVAL: 10,
    CampaignStatus.PAUSED: 10,
}
SOON = timedelta(minutes=2)  # before its time a campaign is watched as one that runs
REFRESH_REPORTS = 5  # everything is handed over, delivery reports still come


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the table and one part of the bar. `start` and `percent` in percent of all recipients."""

    key: str
    label: str
    meaning: str
    count: int
    percent: float
    start: float
    is_shown: bool

    @property
    def width(self) -> str:
        """For an SVG attribute: no thousands or decimal separators of a language."""
        return f"{self.percent:.3f}%"

    @property
    def x(self) -> str:
        return f"{self.start:.3f}%"


@dataclass(frozen=True, slots=True)
class Progress:
    """`processed`: recipients whose outcome does not wait for us, whatever it is; `delivered_percent` is None while
    there are none. `unreported`: messages whose delivery report is awaited. `mark` is another one whenever something
    on the campaign's page is.

    Rates in messages per second; None where there is nothing to measure. `refresh` in seconds, None: final.
    """

    total: int
    outcomes: list[Outcome]
    processed: int
    processed_percent: float
    delivered: int
    delivered_percent: float | None
    unreported: int
    rate_now: float | None
    rate_average: float | None
    time_left: timedelta | None
    duration: timedelta | None
    refresh: int | None
    mark: str

    @property
    def time_left_words(self) -> str:
        return in_words(self.time_left) if self.time_left is not None else ""

    @property
    def duration_words(self) -> str:
        return in_words(self.duration) if self.duration is not None else ""

    @property
    def summary(self) -> str:
        """The bar in words, for those who do not see it."""
        parts = [f"{outcome.count:,} {outcome.label.lower()}" for outcome in self.outcomes if outcome.count]
        return f"Of {self.total:,} recipients: {', '.join(parts) or 'none'}."


def campaign_progress(campaign: Campaign, *, with_rate: bool = True) -> Progress:
    """Without the rate it asks the database nothing, as a list of campaigns needs."""
    now = clock.about_now()
    counts = campaign.tally | {"waiting": max(campaign.waiting, 0)}
    total = campaign.total_recipients
    left = counts["waiting"] + counts["queued"]
    done = total - sum(counts[key] for key in UNDECIDED)
    duration = _duration(campaign, now)
    average = done / max(duration.total_seconds(), 1) if duration is not None and done else None
    rate_now = _rate_now(campaign, now) if with_rate else None
    return Progress(
        total=total,
        outcomes=_outcomes(counts, total),
        processed=done,
        processed_percent=_percent(done, total),
        delivered=campaign.delivered,
        delivered_percent=_percent(campaign.delivered, total) if done else None,
        unreported=campaign.sent + campaign.unknown,
        rate_now=rate_now,
        rate_average=average,
        time_left=_time_left(campaign, left, average if rate_now is None else rate_now),
        duration=duration,
        refresh=_refresh(campaign),
        mark="-".join([campaign.status, str(int(campaign.closed_at is not None)), *map(str, counts.values())]),
    )


def in_words(span: timedelta) -> str:
    """Two units at most: 42 s, 3 min 20 s, 2 h 5 min, 3 days 4 h."""
    seconds = max(round(span.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h"


def _outcomes(counts: dict[str, int], total: int) -> list[Outcome]:
    outcomes = []
    start = 0.0
    for key, label, meaning, always in OUTCOMES:
        percent = _percent(counts[key], total)
        outcomes.append(Outcome(key, label, meaning, counts[key], percent, start, always or counts[key] > 0))
        start += percent
    return outcomes


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _duration(campaign: Campaign, now: datetime) -> timedelta | None:
    if campaign.started_at is None:
        return None
    return (campaign.completed_at or now) - campaign.started_at


def _rate_now(campaign: Campaign, now: datetime) -> float | None:
    """Messages of this campaign answered by the gateway in the last seconds, per second."""
    if campaign.status != CampaignStatus.RUNNING or campaign.started_at is None:
        return None
    newest = list(
        Attempt.objects.order_by("-id").values_list("batch__campaign_id", "state", "message_count", "finished_at")[
            :RATE_ATTEMPTS
        ]
    )
    since = max(now - RATE_WINDOW, campaign.started_at)
    finished = [row for row in newest if row[3] is not None and row[3] >= since]
    if len(newest) == RATE_ATTEMPTS and len(finished) == RATE_ATTEMPTS:
        since = min(row[3] for row in finished if row[3] is not None)
    count = sum(row[2] for row in finished if row[0] == campaign.pk and row[1] == AttemptState.ANSWERED)
    return count / max((now - since).total_seconds(), 1)


def _time_left(campaign: Campaign, left: int, rate: float | None) -> timedelta | None:
    if campaign.status != CampaignStatus.RUNNING or not left or not rate:
        return None
    return timedelta(seconds=round(left / rate))


def _refresh(campaign: Campaign) -> int | None:
    status = CampaignStatus(campaign.status)
    if is_unfinished(campaign):
        return None
    if (
        status == CampaignStatus.SCHEDULED
        and campaign.scheduled_at
        and campaign.scheduled_at - clock.about_now() < SOON
    ):
        return REFRESH[CampaignStatus.RUNNING]
    if status in (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED) and campaign.closed_at is None:
        return REFRESH_REPORTS
    return REFRESH.get(status)
