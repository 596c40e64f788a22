"""When a recurring campaign runs: a rule on the clocks of a zone, and the moments (UTC) that follow from it.

The rule is a CrontabSchedule of django-celery-beat, whose fields operators know; all of them must match. Its moments
are reckoned here: a local time that the clocks skip comes an hour later, one that comes twice is used once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab
from django_celery_beat.models import CrontabSchedule

from smsapp.core.exceptions import ValidationError
from smsapp.lib.zones import NoSuchZone, at_wall_time, zone

LONGEST = timedelta(days=366 * 8)  # without a moment: 29 February is 8 years away at most
LEAST_APART = timedelta(minutes=5)
PREVIEWED = 5


class Every(StrEnum):
    """What most people want; the rest is for CRON."""

    DAY = "day"
    WEEKDAY = "weekday"  # Monday to Friday
    WEEK = "week"
    MONTH = "month"
    CRON = "cron"


@dataclass(frozen=True)
class Rule:
    """The five fields of a crontab, on the clocks of a zone. Raises ValidationError when it is asked for anything that
    does not follow."""

    minute: str
    hour: str
    day_of_month: str
    month_of_year: str
    day_of_week: str
    timezone: str

    @classmethod
    def at(
        cls, every: Every, timezone: str, clock: time, *, weekdays: tuple[int, ...] = (), month_day: int = 1
    ) -> "Rule":
        """One of the simple rules. `weekdays`: 0 is Sunday; `month_day`: 1 to 28, which every month has."""
        days = {Every.WEEKDAY: "1-5", Every.WEEK: ",".join(map(str, weekdays))}.get(every, "*")
        month = str(month_day) if every is Every.MONTH else "*"
        return cls(str(clock.minute), str(clock.hour), month, "*", days or "*", timezone)

    @classmethod
    def of(cls, row: CrontabSchedule) -> "Rule":
        return cls(row.minute, row.hour, row.day_of_month, row.month_of_year, row.day_of_week, str(row.timezone))

    @property
    def fields(self) -> dict[str, str]:
        return {
            "minute": self.minute,
            "hour": self.hour,
            "day_of_month": self.day_of_month,
            "month_of_year": self.month_of_year,
            "day_of_week": self.day_of_week,
            "timezone": self.timezone,
        }

    def stored(self) -> CrontabSchedule:
        """Its row, which rules that are equal share."""
        return CrontabSchedule.objects.filter(**self.fields).first() or CrontabSchedule.objects.create(**self.fields)

    def check(self, now: datetime) -> None:
        """Raises ValidationError for what is no rule, never fires, or fires more often than every five minutes."""
        moments = list(islice(self.after(now), PREVIEWED * 4))
        if not moments:
            raise ValidationError("This rule never comes true.", "cron", str(self))
        if any(later - earlier < LEAST_APART for earlier, later in pairwise(moments)):
            raise ValidationError("A recurring campaign runs every five minutes at most.", "cron", str(self))

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Its moments (UTC) after this one, each once, in order; ends where none comes for years."""
        cron, where = self._parsed, self._zone
        day, end = moment.astimezone(where).date(), moment + LONGEST
        times = sorted(time(hour, minute) for hour in cron.hour for minute in cron.minute)
        last = moment
        while datetime.combine(day, time(), UTC) < end:
            if _matches(cron, day):
                for found in sorted({at_wall_time(day, clock, where) for clock in times}):
                    if found > last:
                        last, end = found, found + LONGEST
                        yield found
            day += timedelta(days=1)

    def next_after(self, moment: datetime) -> datetime | None:
        return next(self.after(moment), None)

    def __str__(self) -> str:
        return f"{self.minute} {self.hour} {self.day_of_month} {self.month_of_year} {self.day_of_week}"

    @cached_property
    def _zone(self) -> ZoneInfo:
        try:
            return zone(self.timezone)
        except NoSuchZone:
            raise ValidationError("There is no such time zone.", "timezone", self.timezone) from None

    @cached_property
    def _parsed(self) -> Any:
        try:
            return crontab(**{name: value for name, value in self.fields.items() if name != "timezone"})
        except (ParseException, ValueError, TypeError) as error:
            raise ValidationError(f"This is no rule: {str(error).rstrip('.')}.", "cron", str(self)) from error


def _matches(cron: Any, day: date) -> bool:
    is_weekday: bool = day.isoweekday() % 7 in cron.day_of_week
    return is_weekday and day.month in cron.month_of_year and day.day in cron.day_of_month
