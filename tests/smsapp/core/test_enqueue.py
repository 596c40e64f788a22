"""Wake-ups: one waits at a time, none is left out that mattered, and a broker that is away costs no request."""

import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from celery.signals import task_prerun
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import transaction

import messaging.tasks  # noqa: F401  (registers the task)
from smsapp.core import enqueue as waking
from smsapp.core.enqueue import enqueue

pytestmark = pytest.mark.django_db(transaction=True)

TASK = "messaging.apply_reports"


@pytest.fixture(autouse=True)
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch, redis_client: Any) -> Iterator[list[tuple[str, Any]]]:
    """What reached the broker."""
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{secrets.token_hex(4)}"
    monkeypatch.setattr(waking._silence, "until", 0.0)
    names: list[tuple[str, Any]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: names.append((name, args)))
    yield names
    redis_client.delete(waking._mark(TASK))


def begin(name: str) -> None:
    """As a worker does, before the task looks for work."""
    task_prerun.send(sender=None, task=current_app.tasks[name])


def test_one_waits_at_a_time(sent: list[tuple[str, Any]]) -> None:
    for _ in range(5):
        enqueue(TASK)
    assert sent == [(TASK, ())]


def test_what_comes_after_the_task_has_begun_is_woken_again(sent: list[tuple[str, Any]]) -> None:
    enqueue(TASK)
    begin(TASK)
    enqueue(TASK)
    enqueue(TASK)
    assert len(sent) == 2


def test_a_wake_up_that_was_lost_is_missed_for_two_seconds_at_most(sent: list[Any], redis_client: Any) -> None:
    enqueue(TASK, after=0.25)
    assert 0 < redis_client.pttl(waking._mark(TASK)) <= 2250


def test_until_its_own_wake_up_can_begin_a_process_asks_nobody(sent: list[Any], redis_client: Any) -> None:
    enqueue(TASK, after=0.25)
    redis_client.delete(waking._mark(TASK))  # as if Redis were asked, this would be seen
    enqueue(TASK, after=0.25)
    assert len(sent) == 1
    time.sleep(0.26)
    enqueue(TASK, after=0.25)
    assert len(sent) == 2


def test_those_that_name_a_row_are_never_left_out(sent: list[tuple[str, Any]]) -> None:
    for pk in (1, 2, 2):
        enqueue("uploads.parse", pk)
    assert sent == [("uploads.parse", (1,)), ("uploads.parse", (2,)), ("uploads.parse", (2,))]


def test_nothing_is_woken_before_the_row_is_there(sent: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        enqueue(TASK)
        assert sent == []
    assert len(sent) == 1


def test_without_redis_the_caller_goes_on_and_tries_no_more_for_a_while(
    sent: list[tuple[str, Any]], settings: Any
) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    configured = django_settings.CACHES
    caches.close_all()
    settings.CACHES = {"default": configured["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}}
    try:
        enqueue(TASK)
        begin(TASK)
    finally:
        caches.close_all()
        settings.CACHES = configured
    enqueue(TASK)
    assert sent == []
    assert waking._silence.is_on
