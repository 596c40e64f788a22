"""Beat and the workers of each queue are seen to run, and each that does not is named."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.test import Client

from reports.selectors import attention
from smsapp.core import pulse
from smsapp.queues import QUEUES, WORKERS
from smsapp.runtime import programs
from smsapp.runtime.supervisor import Supervisor, free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def own_pulses(
    settings: Any, redis_client: Any, really_look_for_pulses: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setattr(pulse, "_began", float("-inf"))
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{time.monotonic_ns()}"
    yield
    redis_client.delete(*map(pulse._key, pulse.EXPECTED))


def health(client: Client) -> tuple[str, str]:
    told = client.get("/health").json()["data"]
    return told["status"], told["workers"]


def titles() -> list[str]:
    return [notice.title for notice in attention() if "Not running" in notice.title]


def test_each_that_is_silent_is_named(client: Client, own_pulses: None) -> None:
    assert health(client) == ("DEGRADED", f"down: {', '.join(pulse.EXPECTED)}")
    assert titles() == ["Not running: beat"]
    pulse._began = time.monotonic()
    assert health(client) == ("OK", "ok"), "just started, as they may be"
    pulse._began = float("-inf")
    for name in pulse.EXPECTED:
        pulse.note(name)
    assert health(client) == ("OK", "ok")
    assert titles() == []


def test_a_queue_that_nobody_serves_is_named_alone(client: Client, own_pulses: None, redis_client: Any) -> None:
    for name in pulse.EXPECTED:
        pulse.note(name)
    for queue in QUEUES:
        redis_client.delete(pulse._key(queue))
        assert health(client) == ("DEGRADED", f"down: {queue}")
        assert titles() == [f"Not running: workers of {queue}"]
        pulse.pulse(queue)
    samples = client.get("/metrics").content.decode()
    assert 'sms_pulse_age_seconds{of="beat"}' in samples


def test_every_queue_is_asked_and_served(settings: Any) -> None:
    asked = [entry for entry in settings.CELERY_BEAT_SCHEDULE.values() if entry["task"] == "smsapp.pulse"]
    assert {(entry["args"][0], entry["options"]["queue"]) for entry in asked} == {(queue, queue) for queue in QUEUES}
    assert {queue for _, queues, _ in WORKERS for queue in queues} == set(QUEUES)
    assert settings.SILENT_AFTER > settings.CELERY_TASK_TIME_LIMIT


@pytest.mark.once
@pytest.mark.long
def test_health_tells_of_each_process_that_was_killed(tmp_path: Path, settings: Any) -> None:
    """The real ones, with signs of life as often as that takes seconds."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    env = kept | {
        "VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
        "SILENT_AFTER": "9",
        "REDIS_URL": settings.REDIS_URL,
        "CELERY_BROKER_URL": settings.REDIS_URL,
        "PORT": str(port),
        "REDIS_KEY_PREFIX": f"{settings.REDIS_KEY_PREFIX}-{time.monotonic_ns()}",
    }

    def workers() -> str:
        told = httpx2.get(f"http://127.0.0.1:{port}/health", timeout=10, trust_env=False).json()["data"]["workers"]
        return str(told)

    def until(expected: str) -> None:
        ends = time.monotonic() + 60
        while (told := workers()) != expected:
            assert time.monotonic() < ends, told
            time.sleep(0.5)

    with Supervisor(lambda name, line: print(name, line)) as own:
        own.finish(own.start(programs.manage("prepare", env, "migrate")), 120)
        own.start_ready(programs.web(env, "127.0.0.1", port))
        for program in (*programs.workers(env), programs.beat(env)):
            own.start(program)
        until("ok")
        own.stop("worker-reports")
        until("down: reports")
        own.stop("worker")
        until("down: campaigns, reports, files")
        own.stop("beat")
        until(f"down: {', '.join(pulse.EXPECTED)}")
