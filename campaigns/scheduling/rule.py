"""The rule of a recurring campaign: a crontab in a time zone, and the moments (UTC) at which it fires.

A rule is stored as a CrontabSchedule of django-celery-beat, whose fields operators know; all of them must match. The
moments are computed here: a local time that is skipped when clocks change comes an hour later, one that occurs twice
fires once.
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
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import CrontabSchedule

from smsapp.core.exceptions import ValidationError
from smsapp.lib.sentences import Sentence, gettext_noop
from smsapp.lib.zones import NoSuchZone, at_wall_time, zone

LONGEST = timedelta(days=366 * 8)  # between two moments: 29 February is at most 8 years away
LEAST_APART = timedelta(minutes=5)
PREVIEWED = 5


class Every(StrEnum):
    """The simple rules that most people need; any other is CRON."""

    DAY = "day"
    WEEKDAY = "weekday"  # Monday to Friday
    WEEK = "week"
    MONTH = "month"
    CRON = "cron"


@dataclass(frozen=True)
class Rule:
    """The five fields of a crontab, in a time zone.

    They are parsed when they are first used, which raises ValidationError if they are invalid.
    """

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
        """Return a simple rule. `weekdays`: 0 is Sunday; `month_day`: 1 to 28."""
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
        """Return the row of this rule, which equal rules share."""
        return CrontabSchedule.objects.filter(**self.fields).first() or CrontabSchedule.objects.create(**self.fields)

    def check(self, now: datetime) -> None:
        """Raise ValidationError if the rule is invalid, never fires, or fires too often."""
        moments = list(islice(self.after(now), PREVIEWED * 4))
        if not moments:
            raise ValidationError(_("This rule never fires."), "cron", str(self))
        if any(later - earlier < LEAST_APART for earlier, later in pairwise(moments)):
            raise ValidationError(_("A recurring campaign runs at most every five minutes."), "cron", str(self))

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the moments (UTC) after `moment`, each once, in order. Stops if none comes for years."""
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
            raise ValidationError(_("There is no such time zone."), "timezone", self.timezone) from None

    @cached_property
    def _parsed(self) -> Any:
        try:
            return crontab(**{name: value for name, value in self.fields.items() if name != "timezone"})
        except (ParseException, ValueError, TypeError) as error:
            reason = Sentence(gettext_noop("This is not a valid rule: %(error)s."), error=str(error).rstrip("."))
            raise ValidationError(reason, "cron", str(self)) from error


def _matches(cron: Any, day: date) -> bool:
    is_weekday: bool = day.isoweekday() % 7 in cron.day_of_week
    return is_weekday and day.month in cron.month_of_year and day.day in cron.day_of_month
