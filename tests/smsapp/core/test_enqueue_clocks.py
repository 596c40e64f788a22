"""A wake-up is begun by a worker whose clock is ahead of that of the machine which sent it."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.request import Request
from django_celery_beat.models import PeriodicTask

from smsapp.celery import app
from smsapp.core import enqueue as waking
from smsapp.core.enqueue import enqueue
from smsapp.queues import BEAT_SCHEDULE
from smsapp.runtime.beat import Scheduler
from tests.support.clocks import host_off_by

pytestmark = pytest.mark.django_db(transaction=True)
BEHIND = timedelta(seconds=-59)
ROUND = timedelta(seconds=2)  # of a worker that is busy with other wake-ups first


@pytest.fixture
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch, redis_client: Any) -> list[SimpleNamespace]:
    """Messages as the broker gets them."""
    app.loader.import_default_modules()
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{secrets.token_hex(4)}"
    monkeypatch.setattr(waking._silence, "until", 0.0)
    monkeypatch.setattr(waking, "_marked_until", {})
    messages: list[SimpleNamespace] = []

    def send(producer: Any, name: str, message: Any, **options: Any) -> None:
        headers, properties, body, _ = message
        messages.append(
            SimpleNamespace(
                headers=headers,
                properties=properties,
                payload=body,
                body=body,
                delivery_info={},
                content_type="",
                content_encoding="",
            )
        )

    monkeypatch.setattr(app.amqp, "send_task_message", send)
    return messages


def is_dropped(message: SimpleNamespace) -> bool:
    """Whether a worker with the right clock lets it go as expired."""
    return bool(Request(message, app=app, decoded=True).maybe_expire())


def by_beat() -> None:
    PeriodicTask.objects.all().delete()
    scheduler = Scheduler(app=app)
    for name in BEAT_SCHEDULE:
        scheduler.apply_async(scheduler.schedule[name], advance=False)


def by_the_web() -> None:
    enqueue("messaging.dispatch_singles")
    enqueue("uploads.parse", 1)


@pytest.mark.parametrize(("send", "count"), [(by_beat, len(BEAT_SCHEDULE)), (by_the_web, 2)])
def test_what_a_machine_sends_whose_clock_is_behind_is_run(
    sent: list[SimpleNamespace], send: Callable[[], None], count: int
) -> None:
    with host_off_by(BEHIND - ROUND):
        send()
    assert [message.headers["task"] for message in sent if is_dropped(message)] == []
    assert len(sent) == count


@pytest.mark.parametrize("send", [by_beat, by_the_web])
def test_what_is_old_is_dropped_whoever_sent_it(sent: list[SimpleNamespace], send: Callable[[], None]) -> None:
    with host_off_by(timedelta(hours=-2)):
        send()
    assert all(map(is_dropped, sent))
