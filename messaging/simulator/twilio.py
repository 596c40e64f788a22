"""Twilio's API on the same server and ledger: send, message, balance, signed reports.

The user of HTTP Basic is any account SID, its password the simulator's key, with which reports are signed, too. In the
ledger a message has the id that ends the address of its reports, so that one who counts finds a message sent twice: as
Twilio, it takes every request for a new message.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from aiohttp import web

from messaging.simulator import breakage
from messaging.simulator.calls import Call, Protocol, Stage, Terms
from messaging.simulator.ledger import Entry
from messaging.simulator.outcomes import OUTCOMES, Json, Kind, Outcome, contrary
from messaging.simulator.protocol import MICRO, Send, price_of, segment_count
from messaging.simulator.responses import json_response
from messaging.simulator.sending import NOT_REMEMBERED

if TYPE_CHECKING:
    from messaging.simulator.server import Simulator

PREFIX = "/2010-04-01/Accounts/"
MAX_TEXT = 1600

#: Twilio's own test numbers: what an API answers to a message to, and from, them.
TO_ERRORS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
FROM_ERRORS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
#: The answer to what an outcome refuses.
REFUSALS = {"no_credit": 20003, "bad_number": 21211, "blocklisted": 21610, "too_long": 21617}
#: The error of a report.
ERRORS = {
    "phone_off": 30003,
    "unknown_number": 30005,
    "memory_full": 30008,
    "spam": 30007,
    "stopped": 30004,
    "late_refusal": 30004,
    "late_no_credit": 30002,
}
FAILED = ("late_refusal", "late_no_credit")  # could not be sent
UNAUTHORIZED = 20003


def add_routes(app: web.Application, simulator: "Simulator") -> None:
    face = Face(simulator)
    app.router.add_post(PREFIX + "{account}/Messages.json", face.send)
    app.router.add_get(PREFIX + "{account}/Messages/{sid}.json", face.message)
    app.router.add_get(PREFIX + "{account}/Balance.json", face.balance)


def is_ours(request: web.Request) -> bool:
    return request.path.startswith(PREFIX)


def is_allowed(request: web.Request, key: str) -> bool:
    """HTTP Basic with the account of the address, or an API key of it, and the simulator's key."""
    try:
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(pair, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    account = request.path.removeprefix(PREFIX).partition("/")[0]
    is_user = user == account or user.startswith("SK")
    return scheme.lower() == "basic" and is_user and hmac.compare_digest(password.encode(), key.encode())


def refusal(code: int) -> web.Response:
    status = {UNAUTHORIZED: 401, 20404: 404, 20429: 429}.get(code, 400)
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_response({"code": code, "message": f"Error {code}", "more_info": more, "status": status}, status=status)


class Face:
    """The simulator as Twilio's clients see it."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    async def send(self, request: web.Request) -> web.StreamResponse:
        simulator = self._simulator
        try:
            form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        except (ConnectionError, ValueError):
            return refusal(21604)
        await asyncio.sleep(simulator.faults.setting("latency_ms") / 1000)
        if code := _error_in(form):
            return refusal(code)
        if fault := simulator.faults.first_of(breakage.BEFORE):
            return await breakage.refuse(fault, request, simulator.faults)
        send = _send_of(form)
        if not simulator.throttle.takes(send):
            return refusal(20429)
        outcome = simulator.desk.outcome_of(send.numbers[0], send.segments[0])
        call = Call(
            send.reference,
            send.terms[0],
            time.time(),
            simulator.faults.setting("report_delay_ms") / 1000,
            send.ids,
            send.numbers,
            [outcome],
            send.segments,
            send.texts if simulator.options.keep_text else (),
        )
        simulator.ledger.posts[send.reference] += 1
        if outcome not in NOT_REMEMBERED:
            await simulator.ledger.accept([call])
        if outcome.name in REFUSALS:
            return refusal(REFUSALS[outcome.name])
        await simulator.report(call)
        answer = orjson.dumps(_shown(request.match_info["account"], Entry(call, 0), "queued", send.texts[0]))
        fault = simulator.faults.first_of(breakage.AFTER)
        if fault:
            return await breakage.spoil(fault, answer, request, simulator.faults)
        return web.Response(body=answer, status=201, content_type="application/json")

    async def message(self, request: web.Request) -> web.Response:
        if self._simulator.faults.fires("log_outage"):
            return json_response({"code": 20500, "status": 500}, status=500)
        entries = list(self._simulator.ledger.entries_under([request.match_info["sid"]]))
        if not entries:
            return refusal(20404)
        status, _ = _status(entries[0].outcome) if entries[0].call.is_final else ("sent", None)
        return json_response(_shown(request.match_info["account"], entries[0], status, entries[0].text))

    async def balance(self, request: web.Request) -> web.Response:
        simulator = self._simulator
        balance = {"balance": f"{simulator.account.balance:.2f}", "currency": simulator.options.currency}
        return json_response({"account_sid": request.match_info["account"], **balance})


def push_of(call: Call, index: int, stage: Stage, url: str, key: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a report on one message."""
    outcome = contrary(call.outcomes[index]) if stage is Stage.CONTRARY else call.outcomes[index]
    status, error = ("sent", None) if stage is Stage.INTERMEDIATE else _status(outcome)
    fields = {
        "AccountSid": "AC" + "0" * 32,
        "ApiVersion": "2010-04-01",
        "From": call.terms.sender,
        "MessageSid": call.reference,
        "MessageStatus": status,
        "SmsSid": call.reference,
        "SmsStatus": status,
        "To": f"+{call.numbers[index]}",
    }
    if error:
        fields["ErrorCode"] = str(error)
    signed = url + "".join(name + value for name, value in sorted(fields.items()))
    signature = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return urlencode(fields).encode(), headers


def _error_in(form: Mapping[str, str]) -> int | None:
    to, sender, text = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    if not to:
        return 21604
    if not sender and not form.get("MessagingServiceSid"):
        return 21603
    if not text:
        return 21602
    if len(text) > MAX_TEXT:
        return 21617
    if not (to.startswith("+") and to[1:].isdecimal()):
        return 21211
    return TO_ERRORS.get(to) or FROM_ERRORS.get(sender)


def _send_of(form: Mapping[str, str]) -> Send:
    sid = f"SM{secrets.token_hex(16)}"
    url = form.get("StatusCallback", "")
    terms = Terms(form.get("From") or form.get("MessagingServiceSid", ""), url, protocol=Protocol.TWILIO)
    message_id = urlsplit(url).path.rpartition("/")[2] or sid
    text = form["Body"]
    return Send(sid, False, [form["To"].removeprefix("+")], [message_id], [text], [segment_count(text)], [terms])


def _status(outcome: Outcome) -> tuple[str, int | None]:
    if outcome.kind is Kind.UNDELIVERED:
        status = "failed" if outcome.name in FAILED else "undelivered"
        return status, ERRORS.get(outcome.name, 30008)
    return ("sent" if outcome.kind is Kind.SILENT else "delivered"), None


def _shown(account: str, entry: Entry, status: str, text: str) -> Json:
    is_final = status in ("delivered", "undelivered", "failed")
    _, error = _status(entry.outcome)
    price = price_of(entry.to) * entry.segments / MICRO
    sid, moment = entry.call.reference, format_datetime(datetime.fromtimestamp(entry.call.at, UTC))
    return {
        "sid": sid,
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": text,
        "direction": "outbound-api",
        "from": entry.call.terms.sender,
        "to": f"+{entry.to}",
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(entry.segments),
        "status": status,
        "error_code": error if is_final else None,
        "error_message": None,
        "price": f"-{price:.5f}" if is_final else None,
        "price_unit": "USD",
        "date_created": moment,
        "date_updated": moment,
        "date_sent": None if status == "queued" else moment,
        "uri": f"{PREFIX}{account}/Messages/{sid}.json",
    }


assert OUTCOMES.keys() >= {*REFUSALS, *ERRORS}
