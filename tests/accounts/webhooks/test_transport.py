"""One call of an endpoint, against a real server that does its worst."""

import resource
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.webhooks import transport
from tests.support.servers.receivers import (
    Receiver,
    answers,
    drips,
    endless_body,
    endless_headers,
    gzip_bomb,
    resets,
    running_receiver,
    sleeps,
)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_LOCAL = True
    with running_receiver() as running:
        yield running


def post(receiver: Receiver, act: Any) -> transport.Answer:
    receiver.acts["/"] = act
    return transport.post(receiver.url(), {"webhook-id": "evt_1"}, b'{"type":"ping"}')


def test_what_is_sent(receiver: Receiver) -> None:
    path = "/a%20b/ü?x=ä&y=1"
    transport.post(receiver.url(path), {"webhook-id": "evt_1"}, '{"name":"ü"}'.encode())
    (received,) = receiver.received
    assert received.path == "/a%20b/%C3%BC?x=%C3%A4&y=1"
    assert received.body == '{"name":"ü"}'
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(("status", "is_success"), [(200, True), (204, True), (299, True), (302, False), (410, False)])
def test_only_2xx_is_success(receiver: Receiver, status: int, is_success: bool) -> None:
    answer = post(receiver, answers(status))
    assert (answer.status, answer.is_success) == (status, is_success)


@pytest.mark.parametrize("act", [sleeps(3), drips, endless_headers, resets], ids=["hang", "drip", "headers", "reset"])
def test_what_never_answers_ends_in_time(receiver: Receiver, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", 0.5)
    answer = post(receiver, act)
    assert (answer.status, answer.error) == (None, transport.NO_ANSWER)
    assert answer.duration_ms < 2000


@pytest.mark.parametrize("act", [endless_body, gzip_bomb], ids=["endless", "bomb"])
def test_of_a_huge_answer_little_is_read(receiver: Receiver, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = post(receiver, act)
    assert answer.is_success
    assert len(answer.response) <= transport.KEPT_RESPONSE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 70_000  # KiB; the bomb itself is made here


def test_what_is_kept_of_an_answer_fits_every_screen_and_database(receiver: Receiver) -> None:
    answer = post(receiver, answers(500, b"a\x00b\x1b[31m\xff<script>" + b"x" * 5000))
    assert answer.response.startswith("a\ufffdb\ufffd[31m\ufffd<script>x")
    assert len(answer.response) == transport.KEPT_RESPONSE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999", 86400.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 86400.0),
    ],
)
def test_a_pause_that_is_asked_for_is_at_most_a_day(receiver: Receiver, text: str, seconds: float | None) -> None:
    assert post(receiver, answers(503, Retry_After=text)).retry_after == seconds


def test_names_of_certificates_are_checked() -> None:
    context = transport._tls()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
