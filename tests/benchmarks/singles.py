"""How long a single send waits while a large campaign is on its way.

Counted from the moment a program sends its request to the one when the provider has the message, so the API's own time
is in it. The campaign's sending and its reports go on meanwhile; singles are sent one after the other, with a pause.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import orjson

from smsapp.runtime.supervisor import ProcessError
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.path import REPORT_DELAY_MS, Journey
from tests.benchmarks.stand import LATENCY_MS, Stand

PART = "singles"
PAUSE = 0.1  # seconds
NUMBER = "+4915112345678"
TEXT = "Your code is 482913."
PATIENCE = 60.0  # seconds for the last of them


@dataclass(frozen=True)
class Singles:
    """Milliseconds, of each single send: until the API's answer, and until the provider had it."""

    answered: list[float]
    received: list[float]
    campaign_messages: int

    @property
    def line(self) -> dict[str, float]:
        return {"single_p95_ms_under_load": percentile(self.received, 95)}

    def figures(self) -> list[Figure]:
        return [
            Figure(PART, "single sends", len(self.received)),
            Figure(PART, "messages of the campaign beside them", self.campaign_messages),
            Figure(PART, "request to answer, p50", percentile(self.answered, 50), "ms"),
            Figure(PART, "request to answer, p95", percentile(self.answered, 95), "ms"),
            Figure(PART, "request to provider, p50", percentile(self.received, 50), "ms"),
            Figure(PART, "request to provider, p95", percentile(self.received, 95), "ms", at_most=2000),
        ]


def measure(stand: Stand) -> Singles:
    journey = Journey(stand, stand.options.rows)
    stand.delay_reports(REPORT_DELAY_MS)
    journey.read()
    journey.start()
    sent: dict[str, float] = {}
    answered: list[float] = []
    for message_id, began, ended in _send(stand, journey):
        sent[message_id] = began
        answered.append(1000 * (ended - began))
    times = _received(stand, set(sent))
    received = [1000 * (times[message_id] - began) - LATENCY_MS for message_id, began in sent.items()]
    return Singles(answered, received, journey.messages)


def _send(stand: Stand, journey: Journey) -> Iterator[tuple[str, float, float]]:
    """(id, sent at, answered at) of single sends until the campaign is settled; seconds since the epoch."""
    key, sender = stand.credentials()["api_key"], stand.credentials()["sender_id"]
    request = {"phone_numbers": [NUMBER], "message": TEXT, "sender_id": sender}
    options = {"headers": {"X-API-Key": key}, "timeout": PATIENCE, "trust_env": False}
    deadline = time.monotonic() + stand.options.seconds
    with httpx2.Client(base_url=f"{stand.url}/api/v1", **options) as client:
        while True:
            began = time.time()
            answer = client.post("/sms/send", json=request).raise_for_status().json()
            yield answer["data"]["messages"][0]["message_id"], began, time.time()
            stand.supervisor.watch()
            stand.look_at_memory()
            journey.campaign.refresh_from_db()
            if journey.is_settled():
                return
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"After {stand.options.seconds:g} s the campaign beside single sends is not through."
                )
            time.sleep(PAUSE)


def _received(stand: Stand, wanted: set[str]) -> dict[str, float]:
    """When the provider accepted each, from its ledger; its answer came LATENCY_MS after it had the call."""
    times: dict[str, float] = {}

    def is_complete() -> bool:
        times.update(_times(stand, wanted))
        return len(times) == len(wanted)

    if not stand.wait(is_complete, PATIENCE):
        raise ProcessError(f"{len(wanted) - len(times)} single sends did not reach the provider in {PATIENCE:g} s.")
    return times


def _times(stand: Stand, wanted: set[str]) -> dict[str, float]:
    with stand.ledger_path().open("rb") as file:
        calls = [call for line in file if line.endswith(b"\n") and "messages" in (call := orjson.loads(line))]
    return {message[0]: call["at"] for call in calls for message in call["messages"] if message[0] in wanted}
