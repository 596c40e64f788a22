"""Delivery reports: when they are due, how they are bundled, pushed, tried again, or kept to be pulled."""

import asyncio
import heapq
import itertools
import logging
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
import orjson

from messaging.simulator import twilio
from messaging.simulator.calls import Call, Protocol, Stage
from messaging.simulator.faults import Faults
from messaging.simulator.ledger import Ledger
from messaging.simulator.options import Options
from messaging.simulator.outcomes import Json
from messaging.simulator.parts import Part, count, cut, parts_of, singly
from messaging.simulator.protocol import reports

logger = logging.getLogger(__name__)

IN_FLIGHT = 4  # bodies on the way at once
TIMEOUT = 10.0  # seconds for one push
MAX_TRIES = 21
PORTIONS = 4  # a call's reports do not all come in the same instant


@dataclass(order=True, slots=True)
class Due:
    at: float  # monotonic
    order: int
    url: str = field(compare=False)
    parts: list[Part] = field(compare=False)
    tries: int = field(compare=False, default=0)


class Pusher:
    def __init__(self, ledger: Ledger, faults: Faults, options: Options) -> None:
        self._ledger, self._faults, self._options = ledger, faults, options
        self._due: list[Due] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._pushing: set[asyncio.Task[None]] = set()
        self._to_pull: deque[Part] = deque()
        self._refused_hosts: set[str] = set()
        self._session: aiohttp.ClientSession | None = None
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        self._session = aiohttp.ClientSession(
            timeout=timeout, headers={"Content-Type": "application/json"}, cookie_jar=aiohttp.DummyCookieJar()
        )
        for call, indexes in self._ledger.unreported():
            self.schedule(call, indexes)
        self._runner = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        for task in (self._runner, *self._pushing):
            if task:
                task.cancel()
        await asyncio.gather(*filter(None, (self._runner, *self._pushing)), return_exceptions=True)
        if self._session:
            await self._session.close()

    @property
    def pending(self) -> int:
        return sum(count(due.parts) for due in self._due)

    def schedule(self, call: Call, indexes: Sequence[int]) -> None:
        """Put the reports on these places of a call on their way, in a few portions. Faults decide about each."""
        parts = self._parts(call, indexes)
        url = call.terms.report_url if self._may_push(call.terms.report_url) else ""
        size = -(-count(parts) // PORTIONS)
        for number, portion in enumerate(cut(parts, size)):
            wait = call.done_at - time.time() + number * call.delay / PORTIONS
            self._add(url, portion, max(0.0, wait))
        final = [index for part in parts if part.stage is Stage.FINAL for index in part.indexes]
        conflicts = self._faults.struck("report_conflict", final)
        if conflicts:
            self._add(url, [Part(call, conflicts, Stage.CONTRARY)], call.delay * 2)

    async def push_early(self, call: Call, indexes: Sequence[int]) -> None:
        """Push a call's reports before it is answered; what is not taken follows later."""
        parts = self._parts(call, indexes)
        if not self._may_push(call.terms.report_url):
            self._to_pull += parts
            return
        for body in cut(parts, self._options.bucket):
            await self._push(Due(0.0, 0, call.terms.report_url, body))

    async def flush(self) -> None:
        """Push everything that is due or will be, once, and wait for the answers."""
        for due in self._due:
            due.at = 0.0
        heapq.heapify(self._due)
        self._changed.set()
        while (self._due and self._due[0].at == 0.0) or self._pushing:
            await asyncio.sleep(0.005)

    def pull(self, limit: int, reference: str | None, message_id: str | None) -> list[Json]:
        """Reports nobody is pushed, each given once, whatever becomes of the answer."""
        taken: list[Part] = []
        kept: deque[Part] = deque()
        room = limit
        while self._to_pull and room:
            part = self._to_pull.popleft()
            wanted = _wanted(part, reference, message_id)[:room]
            taken.append(part.over(wanted))
            kept.append(part.over(sorted(set(part.indexes).difference(wanted))))
            room -= len(wanted)
        self._to_pull.extendleft(part for part in reversed(kept) if part.indexes)
        self._ledger.reported((part.call, part.indexes) for part in taken)
        return [report for part in taken for report in self._reports(part)]

    def _parts(self, call: Call, indexes: Sequence[int]) -> list[Part]:
        parts = parts_of(call, self._faults.spared("report_never", indexes))
        if self._faults.fires("report_reorder"):
            parts = singly(parts)
            self._faults.shuffle(parts)
        return parts

    def _may_push(self, url: str) -> bool:
        """Only to this machine, unless another host was allowed by name; such reports wait to be pulled."""
        if not url:
            return False
        host = urlsplit(url).hostname or ""
        if host in self._options.push_hosts or host == "localhost":
            return True
        try:
            if ip_address(host).is_loopback:
                return True
        except ValueError:
            pass
        if host not in self._refused_hosts:
            self._refused_hosts.add(host)
            logger.warning("no reports are pushed to %s: not this machine, and not allowed by --allow-push-host", host)
        return False

    def _add(self, url: str, parts: list[Part], wait: float, tries: int = 0) -> None:
        heapq.heappush(self._due, Due(time.monotonic() + wait, next(self._order), url, parts, tries))
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            for due in self._bundled(self._pop_due()):
                if not due.url:
                    self._to_pull += due.parts
                    continue
                await self._slots.acquire()
                task = asyncio.create_task(self._push_in_slot(due))
                self._pushing.add(task)
                task.add_done_callback(self._pushing.discard)
            wait = max(0.0, self._due[0].at - time.monotonic()) if self._due else None
            try:
                async with asyncio.timeout(wait):  # wait_for loses a cancellation that comes just as it ends
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _pop_due(self) -> list[Due]:
        now, popped = time.monotonic(), []
        while self._due and self._due[0].at <= now:
            popped.append(heapq.heappop(self._due))
        return popped

    def _bundled(self, due: list[Due]) -> list[Due]:
        """First tries to one URL share bodies of up to a bucket's size; a body tried again stays as it was."""
        fresh: defaultdict[str, list[Part]] = defaultdict(list)
        for item in due:
            if not item.tries:
                fresh[item.url] += item.parts
        again = [item for item in due if item.tries]
        size = 1 if fresh and self._faults.fires("report_singly") else self._options.bucket
        return again + [Due(0.0, 0, url, body) for url, parts in fresh.items() for body in cut(parts, size)]

    async def _push_in_slot(self, due: Due) -> None:
        try:
            await self._push(due)
        finally:
            self._slots.release()

    async def _push(self, due: Due) -> None:
        first = due.parts[0]
        if first.call.terms.protocol is Protocol.TWILIO:  # an address of its own for each message, and so a body
            pushes: list[tuple[bytes, dict[str, str]]] = [
                twilio.push_of(part.call, index, part.stage, due.url, self._options.api_key)
                for part in due.parts
                for index in part.indexes
            ]
        else:
            pushes = [(self._body(due), {})]
        taken = all([await self._post(due.url, *push) for push in pushes])
        if taken and self._faults.fires("report_repeat"):
            for push in pushes * 2:
                await self._post(due.url, *push)
        if taken:
            self._ledger.reported(
                (part.call, part.indexes) for part in due.parts if part.stage is not Stage.INTERMEDIATE
            )
            for part in due.parts:
                if part.stage is Stage.CONTRARY:
                    part.call.contradict(part.indexes)
        elif due.tries + 1 < MAX_TRIES:
            # Infobip's cycle: 1 minute + 1 minute × n² before try n + 1, 20 of them.
            self._add(due.url, due.parts, 60 * (1 + due.tries**2) * self._options.time_scale, due.tries + 1)
        else:
            logger.warning("a body of %d reports was given up after %d tries", count(due.parts), MAX_TRIES)

    def _body(self, due: Due) -> bytes:
        results = [report for part in due.parts for report in self._reports(part)]
        if self._faults.fires("report_unknown_id"):
            results.append(results[0] | {"messageId": f"nobody-{time.monotonic_ns()}"})
        return orjson.dumps({"results": results})

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        if self._session is None:
            return False
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    def _reports(self, part: Part) -> list[Json]:
        return reports(part.call, part.indexes, self._options.currency, part.stage)


def _wanted(part: Part, reference: str | None, message_id: str | None) -> list[int]:
    if reference and part.call.reference != reference:
        return []
    return [index for index in part.indexes if not message_id or part.call.ids[index] == message_id]
