"""Infobip's SMS API on loopback: send, reports, logs, balance; and beside it Twilio's (`twilio.py`)."""

import asyncio
import hmac
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime

import orjson
from aiohttp import web

from messaging.simulator import breakage, control, twilio
from messaging.simulator.calls import Call
from messaging.simulator.faults import Faults
from messaging.simulator.ledger import Entry, Ledger
from messaging.simulator.options import Options
from messaging.simulator.outcomes import Json
from messaging.simulator.protocol import InvalidRequest, Send, error_body, legacy_error_body, log_entry, read_send
from messaging.simulator.pushes import Pusher
from messaging.simulator.responses import json_response
from messaging.simulator.sending import Account, Desk, Throttle, too_fast

MAX_BODY = 32 * 1024 * 1024
MAX_PAGE = 1000
LOG_HOURS = 48
SHUTDOWN_SECONDS = 0.1  # for calls in flight, hanging ones among them; spent twice at most

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """`await start()` listens and sets `url`; `await stop()` ends it within a second."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.url = ""
        self.faults = Faults(options.seed, options.faults)
        self.ledger = Ledger(options.ledger)
        self.account = Account(options, self.ledger)
        self.pusher = Pusher(self.ledger, self.faults, options)
        self.desk = Desk(options, self.ledger, self.faults, self.account)
        self.throttle = Throttle(self.faults)
        self._log_reads: deque[float] = deque()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._authenticate])
        app.router.add_post("/sms/3/messages", self._send)
        app.router.add_get("/sms/3/reports", self._reports)
        app.router.add_get("/sms/3/logs", self._logs)
        app.router.add_get("/account/1/balance", self._balance)
        twilio.add_routes(app, self)
        control.add_routes(app, self)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.pusher.start()

    async def stop(self) -> None:
        await self.pusher.stop()
        if self._runner:
            await self._runner.cleanup()
        self.ledger.close()

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if control.is_open(request):
            return await handler(request)
        if twilio.is_ours(request):
            is_allowed = twilio.is_allowed(request, self.options.api_key)
            return await handler(request) if is_allowed else twilio.refusal(twilio.UNAUTHORIZED)
        expected = f"App {self.options.api_key}"
        if hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode()):
            return await handler(request)
        if request.path.startswith("/account/"):
            return json_response(legacy_error_body("UNAUTHORIZED", "Invalid login details"), status=401)
        return json_response(error_body(401, "Invalid login details."), status=401)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except ConnectionError:  # the client gave up in the middle of its request
            return web.Response(status=400)
        await asyncio.sleep(self.faults.setting("latency_ms") / 1000)
        try:
            send = read_send(body)
        except InvalidRequest as error:
            return json_response(error_body(400, "Request cannot be processed.", error.violations), status=400)
        self.ledger.posts[send.reference] += 1
        refusal = self.faults.first_of(breakage.BEFORE)
        if refusal:
            return await breakage.refuse(refusal, request, self.faults)
        if not self.throttle.takes(send):
            return too_fast(self.faults)
        answer = await self._accept(send)
        fault = self.faults.first_of(breakage.AFTER)
        return await breakage.spoil(fault, answer, request, self.faults) if fault else _json(answer)

    async def _accept(self, send: Send) -> bytes:
        calls, entries = self.desk.accept(send)
        await self.ledger.accept(calls)
        for call in calls:
            await self.report(call)
        entries = list(self.faults.spared("omit_ids", entries))
        if self.faults.fires("reorder_answer"):
            self.faults.shuffle(entries)
        return orjson.dumps({"bulkId": send.reference, "messages": entries})

    async def report(self, call: Call) -> None:
        if self.faults.fires("report_early"):
            await self.pusher.push_early(call, call.accepted())
        else:
            self.pusher.schedule(call, call.accepted())

    async def _reports(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            limit = _limit(query.get("limit"))
        except ValueError:
            return _bad_limit()
        return json_response({"results": self.pusher.pull(limit, query.get("bulkId"), query.get("messageId"))})

    async def _logs(self, request: web.Request) -> web.Response:
        if self._log_limit_reached():
            return json_response(error_body(429, "Too many requests."), status=429)
        if self.faults.fires("log_outage"):
            return json_response(error_body(500, "General error."), status=500)
        query = request.query
        try:
            limit, start = _limit(query.get("limit")), int(query.get("cursor") or 0)
        except ValueError:
            return _bad_limit()
        try:
            since, until = _moment(query.get("sentSince")), _moment(query.get("sentUntil"))
        except ValueError:
            violations = [("sentSince", "Must be a date and time.")]
            return json_response(error_body(400, "Bad request.", violations), status=400)
        newest = min(time.time() - self.faults.setting("log_lag"), until or math.inf)
        oldest = max(time.time() - LOG_HOURS * 3600, since or 0)
        found = [entry for entry in self._candidates(request) if oldest <= entry.call.at <= newest]
        page = found[start : start + limit]
        answer: Json = {"results": [log_entry(entry, self.options.currency) for entry in page]}
        if query.get("useCursor") == "true":
            answer["cursor"] = {"limit": limit}
            if start + limit < len(found):
                answer["cursor"]["nextCursor"] = str(start + limit)
        return json_response(answer)

    def _candidates(self, request: web.Request) -> Iterator[Entry]:
        references = _several(request, "bulkId")
        ids = _several(request, "messageId")
        destination = request.query.get("destination")
        entries: Iterable[Entry] = self.ledger
        if references:
            entries = (entry for entry in self.ledger.entries_under(references) if not ids or entry.message_id in ids)
        elif ids:
            entries = self.ledger.entries_of(ids)
        return (entry for entry in entries if destination is None or entry.to == destination)

    def _log_limit_reached(self) -> bool:
        limit, now = self.faults.setting("log_limit"), time.monotonic()
        while self._log_reads and self._log_reads[0] < now - 60:
            self._log_reads.popleft()
        self._log_reads.append(now)
        return bool(limit) and len(self._log_reads) > limit

    async def _balance(self, request: web.Request) -> web.Response:
        return json_response({"balance": self.account.balance, "currency": self.options.currency})


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _several(request: web.Request, name: str) -> list[str]:
    """Values that come repeated, as the SDK sends them, or separated by commas, as documented."""
    return [value for given in request.query.getall(name, []) for value in given.split(",") if value]


def _moment(value: str | None) -> float | None:
    return datetime.fromisoformat(value).timestamp() if value else None


def _limit(value: str | None) -> int:
    limit = int(value) if value else 50
    if not 1 <= limit <= MAX_PAGE:
        raise ValueError(limit)
    return limit


def _bad_limit() -> web.Response:
    return json_response(error_body(400, "Bad request.", [("limit", "Must be between 1 and 1000.")]), status=400)
