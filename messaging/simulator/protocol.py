"""Infobip's JSON: reading a send, writing answers, reports, log entries and errors."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any

import orjson

from messaging.simulator.calls import Call, Stage, Terms
from messaging.simulator.ledger import Entry
from messaging.simulator.outcomes import PENDING_ENROUTE, TO_OPERATOR, Json, Outcome, contrary
from messaging.simulator.responses import raw

GSM7_BASE = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")
GSM7 = GSM7_BASE | GSM7_EXTENSION
_is_base = re.compile(f"[{re.escape(''.join(GSM7_BASE))}]*").fullmatch
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
class Send:
    """The messages of a call in columns, in the order of the call; an id may be empty."""

    reference: str
    with_count: bool
    numbers: Sequence[str]
    ids: Sequence[str]
    texts: Sequence[str]
    segments: Sequence[int]
    terms: Sequence[Terms]


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
    rows = list(_rows(messages, violations))
    if violations:
        raise InvalidRequest(violations)
    return Send(reference, bool(options.get("includeSmsCountInResponse")), *zip(*rows, strict=True))


def _rows(messages: list[Any], violations: list[tuple[str, str]]) -> Iterator[tuple[str, str, str, int, Terms]]:
    """(to, messageId or "", text, segments, terms) of each destination."""
    terms, terms_before = Terms("", ""), None
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            message = {}
        text = _dict(message, "content").get("text")
        if not isinstance(text, str) or not text:
            violations.append((f"messages[{index}].content.text", "Must not be empty."))
            text = ""
        terms_given = message.get("sender", ""), message.get("options"), message.get("webhooks")
        if violations or terms_given != terms_before:  # equal ones, as most are, need not be read again
            terms, terms_before = _terms(message, index, violations), terms_given
        segments = segment_count(text)
        for to, message_id in _destinations(message.get("destinations"), index, violations):
            yield to, message_id, text, segments, terms


def _terms(message: dict[str, Any], index: int, violations: list[tuple[str, str]]) -> Terms:
    sender = message.get("sender", "")
    if not isinstance(sender, str):
        violations.append((f"messages[{index}].sender", "Must be a string."))
    validity = _dict(_dict(message, "options"), "validityPeriod")
    if validity and not isinstance(validity.get("amount"), int):
        violations.append((f"messages[{index}].options.validityPeriod.amount", "Must not be null."))
    webhooks = _dict(message, "webhooks")
    delivery = _dict(webhooks, "delivery")
    is_notified = delivery.get("notify") is not False
    return Terms(
        sender=str(sender),
        report_url=str(delivery.get("url") or "") if is_notified else "",
        callback_data=str(webhooks.get("callbackData") or ""),
        intermediate=bool(delivery.get("intermediateReport")),
    )


def _destinations(value: Any, index: int, violations: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if not isinstance(value, list) or not value:
        violations.append((f"messages[{index}].destinations", "Must not be empty."))
        return []
    found = []
    for place, given in enumerate(value):
        destination = given if isinstance(given, dict) else {}
        to, message_id = destination.get("to"), destination.get("messageId") or ""
        if not isinstance(to, str) or not 0 < len(to) <= 64:
            violations.append((f"messages[{index}].destinations[{place}].to", "Size must be between 1 and 64."))
        elif not isinstance(message_id, str) or len(message_id) > 200:
            violations.append((f"messages[{index}].destinations[{place}].messageId", "Size must be between 0 and 200."))
        else:
            found.append((to.removeprefix("+"), message_id))
    return found


def _dict(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def segment_count(text: str) -> int:
    """160 septets or 153 each in GSM-7, 70 UTF-16 units or 67 each in UCS-2; no pair is ever split."""
    if _is_base(text):
        return 1 if len(text) <= 160 else ceil(len(text) / 153)
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
    return _price_under(to[:2])


@lru_cache(maxsize=1024)
def _price_under(prefix: str) -> int:
    return PRICES.get(prefix) or PRICES.get(prefix[:1]) or DEFAULT_PRICE


@lru_cache(maxsize=256)  # all messages of a call share theirs
def date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def reports(call: Call, indexes: Iterable[int], currency: str, stage: Stage = Stage.FINAL) -> list[Json]:
    """Delivery reports on these messages of a call, as pushed and pulled. Those on one outcome differ in little."""
    forms: dict[tuple[Outcome, int, int], Json] = {}
    results = []
    for index in indexes:
        to = call.numbers[index]
        key = call.outcomes[index], call.segments[index], price_of(to)
        if key not in forms:
            forms[key] = _report_form(call, *key, currency, stage)
        report = forms[key].copy()
        report["messageId"], report["to"] = call.ids[index], to
        results.append(report)
    return results


def _report_form(call: Call, outcome: Outcome, segments: int, price: int, currency: str, stage: Stage) -> Json:
    """A delivery report with id and number to be filled in."""
    said = contrary(outcome) if stage is Stage.CONTRARY else outcome
    form: Json = {
        "bulkId": call.reference,
        "messageId": "",
        "to": "",
        "sender": call.terms.sender,
        "sentAt": date(call.at),
        "doneAt": date(call.done_at),
        "messageCount": segments,
        "mccMnc": "22801",
        "price": raw({"pricePerMessage": price / MICRO, "currency": currency}),
        "status": raw(TO_OPERATOR if stage is Stage.INTERMEDIATE else said.status),
        "error": raw(said.error),
    }
    if call.terms.callback_data:
        form["callbackData"] = call.terms.callback_data
    return form


def log_entry(entry: Entry, currency: str) -> Json:
    """As the log shows it now: under way, or with its outcome. The recipient is `destination` here."""
    (result,) = reports(entry.call, [entry.index], currency)
    result["destination"] = result.pop("to")
    if entry.outcome.accepted and not entry.call.is_final:
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
