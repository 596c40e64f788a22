"""What was kept for long enough is removed: all of it, in bounded statements, and nothing that is young."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.choices import EndpointKind
from accounts.models import ApiUsageLog, WebhookAttempt, WebhookEndpoint
from smsapp.core import purge
from smsapp.queues import BEAT_SCHEDULE, TASK_QUEUES
from tests.support.aged_rows import KINDS, LONG_AGO, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were asked to go on."""
    current_app.loader.import_default_modules()
    names: list[str] = []
    monkeypatch.setattr(purge, "enqueue", lambda task, after: names.append(task))
    return names


def run_until_done(task: str, woken: list[str]) -> int:
    """Call a task as often as it asks to be called; how many times."""
    for times in range(1, 100):
        woken.clear()
        current_app.tasks[task]()
        if not woken:
            return times
        assert woken == [task]
    pytest.fail(f"{task} asks to be called for ever")


#: Of tables of django-axes, whose times have no index: tests/accounts/access/test_sessions.py.
ELSEWHERE = {"accounts.purge_sign_ins"}


def test_every_task_that_purges_is_known_here() -> None:
    known = KINDS.keys() | ELSEWHERE
    assert {name for name in TASK_QUEUES if "purge" in name} == known
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} >= known


def test_every_index_for_purging_serves_a_task() -> None:
    aged = {
        model
        for model in apps.get_models()
        for index in model._meta.indexes
        if re.search(r"(?<!session)_age$", index.name)
    }
    assert aged == {kind.model for kind in KINDS.values()} - {Session}


@pytest.mark.parametrize("task", KINDS)
def test_all_that_is_old_goes_in_bounded_slices_and_nothing_young(
    task: str, woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "SLICE", 100)
    monkeypatch.setattr(purge, "SECONDS_AT_ONCE", 0.0)
    kind = KINDS[task]
    young = store(kind, 3)
    store(kind, 250, LONG_AGO)
    removed: list[int] = []

    def execute(call: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        result = call(sql, params, many, context)
        if sql.startswith("DELETE"):
            removed.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(execute):
        assert run_until_done(task, woken) == 3
    assert max(removed) == 100
    assert sorted(kind.model._default_manager.values_list("pk", flat=True)) == sorted(young)


@pytest.mark.parametrize("task", KINDS)
def test_the_oldest_go_first(task: str, woken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "SLICE", 10)
    monkeypatch.setattr(purge, "SECONDS_AT_ONCE", 0.0)
    kind = KINDS[task]
    rows = store(kind, 20, LONG_AGO)
    for place, pk in enumerate(reversed(rows)):
        at = timezone.now() - LONG_AGO + timedelta(minutes=place)
        kind.model._default_manager.filter(pk=pk).update(**{kind.column: at})
    current_app.tasks[task]()
    assert sorted(kind.model._default_manager.values_list("pk", flat=True)) == sorted(rows[:10])
    assert woken == [task]


def test_a_backlog_of_25_000_is_gone_when_the_task_asks_for_no_more(woken: list[str]) -> None:
    kind = KINDS["accounts.purge_usage"]
    store(kind, 25_000, LONG_AGO)
    young = store(kind, 5)
    with CaptureQueriesContext(connection) as queries:
        run_until_done("accounts.purge_usage", woken)
    deletes = [query for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 25
    assert list(ApiUsageLog.objects.order_by("pk").values_list("pk", flat=True)) == young


def test_the_tries_of_an_event_go_with_it(woken: list[str]) -> None:
    old, young = store(KINDS["accounts.purge_webhooks"], 1, LONG_AGO) + store(KINDS["accounts.purge_webhooks"], 1)
    for delivery in (old, young):
        WebhookAttempt.objects.create(delivery_id=delivery, duration_ms=1)
    run_until_done("accounts.purge_webhooks", woken)
    assert [attempt.delivery_id for attempt in WebhookAttempt.objects.all()] == [young]


def test_a_callback_url_with_events_stays(woken: list[str]) -> None:
    store(KINDS["accounts.purge_webhooks"], 1)
    WebhookEndpoint.objects.update(updated_at=timezone.now() - LONG_AGO)
    assert run_until_done("accounts.purge_callbacks", woken) == 1
    assert WebhookEndpoint.objects.count() == 1


def test_a_row_that_was_used_meanwhile_stays(woken: list[str]) -> None:
    (used,) = store(KINDS["accounts.purge_callbacks"], 1, LONG_AGO)
    old = WebhookEndpoint.objects.filter(updated_at__lt=timezone.now() - timedelta(days=400))

    def use(keys: Sequence[Any]) -> None:
        WebhookEndpoint.objects.filter(pk__in=keys).update(updated_at=timezone.now())

    assert purge.remove_oldest(old, "updated_at", use).removed == 0
    assert WebhookEndpoint.objects.get().pk == used


@pytest.mark.postgresql
@pytest.mark.parametrize("task", KINDS)
def test_the_oldest_are_found_by_an_index(task: str) -> None:
    kind = KINDS[task]
    store(kind, 2000)
    plan = _plan_of_oldest(kind.model, kind.column, timezone.now() - LONG_AGO)
    assert "Index" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


def _plan_of_oldest(model: type[Model], column: str, before: datetime) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {model._meta.db_table}")
    old = model._default_manager.filter(**{f"{column}__lt": before}).order_by(column)
    if model is WebhookEndpoint:
        old = old.filter(kind=EndpointKind.CALLBACK)
    return old.values_list("pk", flat=True)[:1000].explain()
