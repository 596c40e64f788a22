"""Beat's scheduler: django-celery-beat's, except that it does not begin with a part of the platform's own schedule.

That one logs an entry it cannot write and goes on. Beat started while the database was away for a second would
never again wake what it missed: no sweep, no look-up, and nothing says so.
"""

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler


class ScheduleIncomplete(Exception):
    """Beat ends with it, so that whoever runs it starts it again."""


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    def setup_schedule(self) -> None:
        """Raises ScheduleIncomplete unless every entry of BEAT_SCHEDULE is in the database afterwards."""
        super().setup_schedule()
        own = set(self.app.conf.beat_schedule)
        missing = own.difference(PeriodicTask.objects.filter(name__in=own).values_list("name", flat=True))
        if missing:
            raise ScheduleIncomplete(f"not in the schedule: {', '.join(sorted(missing))}")
