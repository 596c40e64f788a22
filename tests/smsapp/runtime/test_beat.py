"""Beat wakes everything it should, or says that it cannot."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_celery_beat.models import PeriodicTask

from smsapp.celery import app
from smsapp.queues import BEAT_SCHEDULE
from smsapp.runtime.beat import ScheduleIncomplete, Scheduler

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_scheduled() -> None:
    PeriodicTask.objects.all().delete()


def away_after(writes: int) -> Callable[..., Any]:
    """A database that writes so many entries of the schedule, and then is away for the next two."""
    written = 0

    def execute(call: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal written
        if sql.startswith(f'INSERT INTO "{PeriodicTask._meta.db_table}"'):
            written += 1
            if writes < written <= writes + 2:
                raise OperationalError("the database system is starting up")
        return call(sql, params, many, context)

    return execute


def test_beat_begins_with_the_whole_schedule():
    scheduler = Scheduler(app=app)
    assert set(scheduler.schedule) >= set(BEAT_SCHEDULE)


def test_beat_does_not_begin_with_a_part_of_it():
    with connection.execute_wrapper(away_after(4)), pytest.raises(ScheduleIncomplete, match="not in the schedule"):
        Scheduler(app=app)
    assert 0 < PeriodicTask.objects.filter(name__in=BEAT_SCHEDULE).count() < len(BEAT_SCHEDULE)
    assert set(Scheduler(app=app).schedule) >= set(BEAT_SCHEDULE)  # started again


def test_what_was_switched_off_is_on_again():
    Scheduler(app=app)
    PeriodicTask.objects.filter(name="seal the audit log").update(enabled=False)
    assert "seal the audit log" in Scheduler(app=app).schedule


def test_beat_is_run_with_that_scheduler(settings):
    assert f"{Scheduler.__module__}:{Scheduler.__name__}" == settings.CELERY_BEAT_SCHEDULER
