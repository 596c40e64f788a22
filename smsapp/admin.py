"""The console's pages on what beat wakes: the platform's own tasks are shown, and neither changed nor switched off."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from smsapp.console.admin import Audited
from smsapp.queues import BEAT_SCHEDULE, TASK_QUEUES

#: By their name, and by what they wake, whatever somebody called it.
OWN = Q(name__in=BEAT_SCHEDULE) | Q(task__in=TASK_QUEUES)


class PeriodicTaskAdmin(Audited, beat.PeriodicTaskAdmin):
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _is_own(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _is_own(obj) and super().has_delete_permission(request, obj)

    @admin.action(description="Enable selected tasks", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._note(request, queryset, "enabled")
        super().enable_tasks(request, queryset)

    @admin.action(description="Disable selected tasks, but for the platform's own", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        others = queryset.exclude(OWN)
        self._note(request, others, "disabled")
        super().disable_tasks(request, others)

    @admin.action(description="Toggle selected tasks, but for the platform's own", permissions=["change"])
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        others = queryset.exclude(OWN)
        self._note(request, others, "toggled")
        super().toggle_tasks(request, others)

    @admin.action(description="Run selected tasks", permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._note(request, queryset, "run")
        super().run_tasks(request, queryset)

    def _note(self, request: HttpRequest, rows: QuerySet[PeriodicTask], how: str) -> None:
        for row in rows:
            self.log_change(request, row, how)


class _ScheduleAdmin(Audited, beat.ScheduleAdmin):
    """A schedule that a task of the platform keeps to is not changed: it would stop with it."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _serves_own(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _serves_own(obj) and super().has_delete_permission(request, obj)


class ClockedScheduleAdmin(_ScheduleAdmin, beat.ClockedScheduleAdmin):
    pass


class CrontabScheduleAdmin(_ScheduleAdmin, beat.CrontabScheduleAdmin):
    pass


_PAGES: dict[type[Model], Any] = {
    PeriodicTask: PeriodicTaskAdmin,
    ClockedSchedule: ClockedScheduleAdmin,
    CrontabSchedule: CrontabScheduleAdmin,
    IntervalSchedule: _ScheduleAdmin,
    SolarSchedule: _ScheduleAdmin,
}
for _model, _page in _PAGES.items():
    admin.site.unregister(_model)
    admin.site.register(_model, _page)


def _is_own(obj: Model | None) -> bool:
    return isinstance(obj, PeriodicTask) and (obj.name in BEAT_SCHEDULE or obj.task in TASK_QUEUES)


def _serves_own(obj: Model | None) -> bool:
    return obj is not None and obj.periodictask_set.filter(OWN).exists()  # type: ignore[attr-defined]
