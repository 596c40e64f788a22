"""Beat's scheduler: django-celery-beat's, except that it does not begin with a part of the platform's schedule.

The original logs an entry it cannot write and goes on. Beat started while the database was down for a second would
never again run what it missed: no sweep, no look-up, and nothing says so.
"""

import contextlib
import time
from typing import Any

from django.conf import settings
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler
from redis.exceptions import RedisError

from smsapp.core import pulse


class ScheduleIncomplete(Exception):
    """Beat ends with it, so that whoever runs it starts it again."""


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    _pulse_at = float("-inf")  # monotonic

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Return the seconds until the next one."""
        wait: float = super().tick(*args, **kwargs)
        if time.monotonic() - self._pulse_at >= settings.PULSE_EVERY:
            with contextlib.suppress(RedisError):
                pulse.note(pulse.BEAT)
                self._pulse_at = time.monotonic()
        return wait

    def setup_schedule(self) -> None:
        """Write the schedule. Raises ScheduleIncomplete unless every entry of BEAT_SCHEDULE is in the database.

        An entry that was switched off is on again.
        """
        own = set(self.app.conf.beat_schedule)
        PeriodicTask.objects.filter(name__in=own, enabled=False).update(enabled=True)
        super().setup_schedule()
        missing = own.difference(PeriodicTask.objects.filter(name__in=own).values_list("name", flat=True))
        if missing:
            raise ScheduleIncomplete(f"not in the schedule: {', '.join(sorted(missing))}")
