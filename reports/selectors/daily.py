"""An account's messages by day.

Read from folded statistics only, so it costs one row per day whatever has been sent. They are behind by what the
pipeline changed since they were last folded: some ten seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from accounts.choices import Mode
from accounts.models import Account
from campaigns.tally import COUNTED_STATUSES
from reports.models import DailyStat


@dataclass(frozen=True, slots=True)
class Figures:
    """Messages by status, every status named; `segments` of those that a provider took."""

    tally: Mapping[str, int]
    segments: int

    @property
    def messages(self) -> int:
        return sum(self.tally.values())


NOTHING = Figures(dict.fromkeys(COUNTED_STATUSES, 0), 0)


def daily(account: Account, mode: Mode, first_day: date, last_day: date) -> dict[date, Figures]:
    """By UTC day on which the messages were made, from the first to the last (inclusive), in order; days without
    messages too. The caller bounds the number of days."""
    rows = DailyStat.objects.filter(account=account, mode=mode, day__range=(first_day, last_day))
    known = {row.day: Figures(row.tally, row.segments) for row in rows}
    days = (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1))
    return {day: known.get(day, NOTHING) for day in days}


def total(figures: Iterable[Figures]) -> Figures:
    """Of several days together."""
    parts = list(figures)
    tally = {status: sum(part.tally[status] for part in parts) for status in COUNTED_STATUSES}
    return Figures(tally, sum(part.segments for part in parts))
