"""A client that names its calls repeats them until they are answered, and one that does not never asks twice."""

import itertools
import random

import httpx2
import pytest

from tests.chaos import clients
from tests.chaos.clients import Line, Record

DONE = {"data": {"bulk_id": "bulk-1"}, "error": None}
OTHER = {"data": {"bulk_id": "bulk-2"}, "error": None}
WAITS = httpx2.Response(409, json={"data": None, "error": {"code": "IDEMPOTENCY_IN_PROGRESS"}})
AWAY = httpx2.Response(503, text="away")


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch):
    monkeypatch.setattr(clients, "WAIT", (0, 0))


class Server:
    """Gives these answers in turn, the last of them again and again; None: none comes."""

    def __init__(self, *answers: httpx2.Response | None) -> None:
        self.answers, self.keys = list(answers), []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.keys.append(request.headers.get("Idempotency-Key"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise httpx2.ReadError("cut")
        return answer


def send(server: Server, has_keys: bool = True) -> Record:
    record = Record()
    keys = (f"key-{call}" for call in itertools.count()) if has_keys else None
    with httpx2.Client(base_url="http://here", transport=httpx2.MockTransport(server)) as connection:
        Line(connection, "Shop", record, random.Random(1), keys).send("/sms/send", ["49151"], message="Hello")
    return record


def test_a_call_is_repeated_with_its_key_until_it_is_answered(monkeypatch):
    monkeypatch.setattr(clients, "ASKED_AGAIN", 0)
    server = Server(None, AWAY, WAITS, httpx2.Response(202, json=DONE))
    record = send(server)
    assert server.keys == ["key-0"] * 4
    assert [(request.told, request.bulk_id) for request in record.requests] == [("accepted", "bulk-1")]
    assert record.repeats == {"unanswered": 3, "answered": 0, "replayed": 0}
    assert record.surprises == []


def test_a_call_without_a_key_is_made_once():
    server = Server(None, httpx2.Response(202, json=DONE))
    assert [request.told for request in send(server, has_keys=False).requests] == ["unknown"]
    assert server.keys == [None]


@pytest.mark.parametrize(("second", "surprises"), [(DONE, 0), (OTHER, 1)])
def test_the_answer_to_a_key_stays_what_it_was(monkeypatch, second, surprises):
    monkeypatch.setattr(clients, "ASKED_AGAIN", 1)
    replayed = httpx2.Response(202, json=second, headers={"Idempotency-Replayed": "true"})
    record = send(Server(httpx2.Response(202, json=DONE), replayed))
    assert len(record.surprises) == surprises
    assert record.repeats == {"unanswered": 0, "answered": 1, "replayed": 1}


def test_a_call_that_is_never_answered_is_a_surprise(monkeypatch):
    monkeypatch.setattr(clients, "REPEAT_TIME", 0.05)
    assert len(send(Server(None)).surprises) == 1
