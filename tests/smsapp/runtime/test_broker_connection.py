"""Workers and beat look for a broker that is away often enough."""

import socket

import pytest
from kombu.exceptions import OperationalError
from kombu.utils import functional

from smsapp.celery import app
from smsapp.runtime.broker_connection import LONGEST_WAIT


def test_after_any_number_of_tries_the_next_comes_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(functional, "sleep", lambda seconds: None)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{reserved.getsockname()[1]}/0"
        with app.connection_for_read(url) as connection, pytest.raises(OperationalError):
            connection.ensure_connection(lambda error, wait: waits.append(wait), 20)
    assert len(waits) == 20
    assert 0 < waits[0] < max(waits) == LONGEST_WAIT
