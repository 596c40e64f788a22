"""Fixtures that several folders use: their conftest, or the module that needs one, imports it."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from messaging.gateways import registry
from messaging.routing import throttle
from tests.support.installed import put_installation_back
from tests.support.servers.simulators import RunningSimulator, running_simulator


@pytest.fixture
def simulator(settings: Any) -> Iterator[RunningSimulator]:
    """Every number is delivered unless its ending says otherwise; reports wait to be polled (no push address)."""
    with running_simulator(undelivered=0.0, rejected=0.0, report_delay_ms=0.0, keep_text=True) as running:
        settings.SIMULATOR_URL = running.url
        settings.SIMULATOR_API_KEY = running.api_key
        settings.GATEWAY_TIMEOUT = 1.0
        settings.LEASE_MARGIN = 0.0
        settings.RETRY_BACKOFF = 0.02
        settings.SIMULATOR_UNKNOWN_GRACE = 0.1
        settings.SIMULATOR_RESEND_UNKNOWN_AFTER = 0.2
        registry.reset()
        yield running
    registry.reset()


@pytest.fixture(autouse=True)
def own_pace(settings: Any) -> Iterator[None]:
    """A gateway that was closed in one test is open in the next."""
    settings.REDIS_KEY_PREFIX = f"{settings.REDIS_KEY_PREFIX}-{uuid.uuid4().hex[:8]}"
    throttle.reset()
    yield
    throttle.reset()


@pytest.fixture(autouse=True)
def no_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are polled in these tests; tests/messaging/views/test_callbacks.py pushes them to a live server."""
    monkeypatch.setattr("messaging.sending.prepare.report_url", lambda gateway: "")


@pytest.fixture(autouse=True)
def installed(transactional_db: None) -> None:
    put_installation_back()
