"""Infobip's JSON: reading a send, writing answers, reports, log entries and errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any

import orjson

from messaging.simulator.ledger import Entry
from messaging.simulator.outcomes import PENDING_ENROUTE, TO_OPERATOR, Json, Outcome

GSM7_BASE = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
GSM7 = GSM7_BASE | GSM7_EXTENSION
MAX_SEGMENTS = 25

#: Millionths of the currency for one segment, by country code.
PRICES = {"1": 7_500, "33": 65_000, "40": 55_000, "41": 52_000, "44": 40_000, "49": 75_000, "91": 2_000}
DEFAULT_PRICE = 50_000
MICRO = 1_000_000


class InvalidRequest(Exception):
    """Refused as a whole; `violations` as (property, what is wrong)."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__(violations)
        self.violations = violations


@dataclass(slots=True)
class Group:
    """One element of `messages[]`: a text and who gets it, as (to, messageId or "")."""

    sender: str
    text: str
    segments: int
    report_url: str
    notify: bool
    intermediate: bool
    callback_data: str
    destinations: list[tuple[str, str]]


@dataclass(slots=True)
class Send:
    reference: str
    with_count: bool
    groups: list[Group]


def read_send(body: bytes) -> Send:
    """Raises InvalidRequest naming the properties that break the documented rules."""
    try:
        request = orjson.loads(body)
    except ValueError as error:
        raise InvalidRequest([("", "Malformed JSON.")]) from error
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest([("messages", "Must not be empty.")])
    options = _dict(request, "options")
    reference = _dict(options, "schedule").get("bulkId") or ""
    violations: list[tuple[str, str]] = []
    if not isinstance(reference, str) or len(reference) > 100:
        violations.append(("options.schedule.bulkId", "Size must be between 0 and 100."))
    groups = [_group(message, f"messages[{index}]", violations) for index, message in enumerate(messages)]
    if violations:
        raise InvalidRequest(violations)
    return Send(reference, bool(options.get("includeSmsCountInResponse")), groups)


def _group(message: Any, path: str, violations: list[tuple[str, str]]) -> Group:
    message = message if isinstance(message, dict) else {}
    text = _dict(message, "content").get("text")
    if not isinstance(text, str) or not text:
        violations.append((f"{path}.content.text", "Must not be empty."))
        text = ""
    sender = message.get("sender", "")
    if not isinstance(sender, str):
        violations.append((f"{path}.sender", "Must be a string."))
    validity = _dict(_dict(message, "options"), "validityPeriod")
    if validity and not isinstance(validity.get("amount"), int):
        violations.append((f"{path}.options.validityPeriod.amount", "Must not be null."))
    webhooks = _dict(message, "webhooks")
    delivery = _dict(webhooks, "delivery")
    return Group(
        sender=str(sender),
        text=text,
        segments=segment_count(text),
        report_url=str(delivery.get("url") or ""),
        notify=delivery.get("notify") is not False,
        intermediate=bool(delivery.get("intermediateReport")),
        callback_data=str(webhooks.get("callbackData") or ""),
        destinations=list(_destinations(message.get("destinations"), path, violations)),
    )


def _destinations(value: Any, path: str, violations: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list) or not value:
        violations.append((f"{path}.destinations", "Must not be empty."))
        return
    for index, destination in enumerate(value):
        to = destination.get("to") if isinstance(destination, dict) else None
        if not isinstance(to, str) or not 0 < len(to) <= 64:
            violations.append((f"{path}.destinations[{index}].to", "Size must be between 1 and 64."))
            continue
        message_id = destination.get("messageId") or ""
        if not isinstance(message_id, str) or len(message_id) > 200:
            violations.append((f"{path}.destinations[{index}].messageId", "Size must be between 0 and 200."))
            continue
        yield to.removeprefix("+"), message_id


def _dict(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def segment_count(text: str) -> int:
    """160 septets or 153 each in GSM-7, 70 UTF-16 units or 67 each in UCS-2; no pair is ever split."""
    if set(text) <= GSM7:
        widths = [2 if character in GSM7_EXTENSION else 1 for character in text]
        return _fill(widths, 160, 153)
    return _fill([2 if character > "\uffff" else 1 for character in text], 70, 67)


def _fill(widths: list[int], single: int, joined: int) -> int:
    total = sum(widths)
    if total <= single:
        return 1
    if total == len(widths):
        return ceil(total / joined)
    segments, room = 1, joined
    for width in widths:
        if width > room:
            segments, room = segments + 1, joined
        room -= width
    return segments


def price_of(to: str) -> int:
    """Millionths of the currency for one segment."""
    return PRICES.get(to[:2]) or PRICES.get(to[:1]) or DEFAULT_PRICE


@lru_cache(maxsize=256)  # all messages of a call share theirs
def date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def answer_entry(message_id: str, to: str, status: Json, segments: int | None) -> Json:
    entry: Json = {"messageId": message_id, "status": status, "destination": to}
    if segments is not None:
        entry["details"] = {"messageCount": segments}
    return entry


def report(entry: Entry, outcome: Outcome, currency: str, *, intermediate: bool = False) -> Json:
    """A delivery report, as pushed and pulled. `outcome` is not the entry's own where reports conflict."""
    call = entry.call
    result: Json = {
        "bulkId": call.reference,
        "messageId": entry.message_id,
        "to": entry.to,
        "sender": call.sender,
        "sentAt": date(call.at),
        "doneAt": date(call.done_at),
        "messageCount": entry.segments,
        "mccMnc": "22801",
        "price": {"pricePerMessage": price_of(entry.to) / MICRO, "currency": currency},
        "status": TO_OPERATOR if intermediate else outcome.status,
        "error": outcome.error,
    }
    if call.callback_data:
        result["callbackData"] = call.callback_data
    return result


def log_entry(entry: Entry, currency: str) -> Json:
    """As the log shows it now: under way, or with its outcome. The recipient is `destination` here."""
    result = report(entry, entry.outcome, currency)
    result["destination"] = result.pop("to")
    if entry.outcome.accepted and not entry.is_final:
        result["status"] = PENDING_ENROUTE
    result["content"] = {"text": entry.text}
    return result


def error_body(code: int, description: str, violations: list[tuple[str, str]] | None = None) -> Json:
    return {
        "errorCode": f"E{code}",
        "description": description,
        "action": "Check the request against the API documentation.",
        "violations": [{"property": name, "violation": text} for name, text in violations or ()],
        "resources": [],
    }


def legacy_error_body(name: str, text: str) -> Json:
    return {"requestError": {"serviceException": {"messageId": name, "text": text}}}
