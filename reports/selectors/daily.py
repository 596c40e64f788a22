"""An account's messages by day.

Read from folded statistics only, so it costs a row for each day, sender and gateway whatever has been sent. They are
behind by what the pipeline changed since they were last folded: some ten seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Sum

from accounts.choices import Mode
from accounts.models import Account
from campaigns.models.tally import COUNTED_STATUSES
from reports.models import DailyCountry, DailyStat


@dataclass(frozen=True, slots=True)
class Figures:
    """Messages by status, every status named; `segments` of those that a provider took, `spent_micro` what these cost
    the account, in millionths."""

    tally: Mapping[str, int]
    segments: int
    spent_micro: int = 0

    @property
    def messages(self) -> int:
        return sum(self.tally.values())


_SUMS = [Sum(name) for name in (*COUNTED_STATUSES, "segments", "spent_micro")]
NOTHING = Figures(dict.fromkeys(COUNTED_STATUSES, 0), 0)


def daily(account: Account, mode: Mode, first_day: date, last_day: date) -> dict[date, Figures]:
    """By UTC day on which the messages were made, from the first to the last (inclusive), in order; days without
    messages too. The caller bounds the number of days."""
    rows = DailyStat.objects.filter(account=account, mode=mode, day__range=(first_day, last_day))
    sums = rows.order_by().values_list("day").annotate(*_SUMS)
    known = {day: _figures(counts) for day, *counts in sums}
    days = (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1))
    return {day: known.get(day, NOTHING) for day in days}


def total(figures: Iterable[Figures]) -> Figures:
    """Of several days together."""
    parts = list(figures)
    tally = {status: sum(part.tally[status] for part in parts) for status in COUNTED_STATUSES}
    return Figures(tally, sum(part.segments for part in parts), sum(part.spent_micro for part in parts))


def shares(account: Account, mode: Mode, since: date, of: str) -> list[tuple[str, Figures]]:
    """Since a day, by sender or gateway (`of`: "sender_id", "gateway"), those with the most messages first."""
    rows = DailyStat.objects.filter(account=account, mode=mode, day__gte=since)
    found = [(name, _figures(counts)) for name, *counts in rows.order_by().values_list(of).annotate(*_SUMS)]
    return sorted(found, key=lambda share: -share[1].messages)


def messages_by_country(account: Account, mode: Mode, since: date) -> list[tuple[str, int]]:
    """Since a day: ISO codes, and messages made to numbers of that country, the most first."""
    rows = DailyCountry.objects.filter(account=account, mode=mode, day__gte=since)
    return list(rows.order_by().values_list("country").annotate(sum=Sum("messages")).order_by("-sum", "country"))


def _figures(counts: list[int]) -> Figures:
    """From columns in the order of _SUMS."""
    *tally, segments, spent = counts
    return Figures(dict(zip(COUNTED_STATUSES, tally, strict=True)), segments, spent)
