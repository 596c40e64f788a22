"""The calls of the API that are measured, by name; each is made from a number that is not given twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ROOT = "/api/v1"
TEXT = "Your code is {}."
NUMBERS = 900_000  # that are called in turn


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def _phones(number: int, count: int) -> list[str]:
    return [f"+4915112{(number + place) % NUMBERS:06d}" for place in range(count)]


def _send(number: int, **headers: str) -> Call:
    body = {"phone_numbers": _phones(number, 1), "message": TEXT.format(number), "sender_id": "DemoShop"}
    return Call("POST", "/sms/send", body, headers)


CALLS: dict[str, Callable[[int], Call]] = {
    "send": _send,
    "send with Idempotency-Key": lambda number: _send(number, **{"Idempotency-Key": f"bench-{number}"}),
    "the same send again": lambda number: _send(0, **{"Idempotency-Key": "bench-again"}),
    "list of messages": lambda number: Call("GET", "/messages?limit=50"),
    "list of sends": lambda number: Call("GET", "/campaigns?limit=50"),
    "lookup of 10 numbers": lambda number: Call("POST", "/lookup", {"phone_numbers": _phones(number, 10)}),
}
