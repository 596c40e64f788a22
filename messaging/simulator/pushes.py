"""Delivery reports: when they are due, how they are bundled, pushed, tried again, or kept to be pulled."""

import asyncio
import heapq
import itertools
import logging
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp
import orjson

from messaging.simulator.faults import Faults
from messaging.simulator.ledger import Call, Entry, Ledger
from messaging.simulator.options import Options
from messaging.simulator.outcomes import Json, Kind, Outcome, contrary
from messaging.simulator.protocol import report

logger = logging.getLogger(__name__)

IN_FLIGHT = 4  # bodies on the way at once
TIMEOUT = 10.0  # seconds for one push
MAX_TRIES = 21
PORTIONS = 4  # a call's reports do not all come in the same instant


@dataclass(slots=True)
class Stage:
    """One report to come. `outcome` differs from the entry's own in a conflict; `intermediate`: operator has it."""

    entry: Entry
    outcome: Outcome
    intermediate: bool = False


@dataclass(order=True, slots=True)
class Due:
    at: float  # monotonic
    order: int
    url: str = field(compare=False)
    stages: list[Stage] = field(compare=False)
    tries: int = field(compare=False, default=0)


class Pusher:
    def __init__(self, ledger: Ledger, faults: Faults, options: Options) -> None:
        self._ledger, self._faults, self._options = ledger, faults, options
        self._due: list[Due] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._pushing: set[asyncio.Task[None]] = set()
        self._to_pull: deque[Stage] = deque()
        self._refused_hosts: set[str] = set()
        self._session: aiohttp.ClientSession | None = None
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        self._session = aiohttp.ClientSession(timeout=timeout, headers={"Content-Type": "application/json"})
        for call in self._ledger.unreported_calls():
            self.schedule(call)
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
        return sum(len(due.stages) for due in self._due)

    def schedule(self, call: Call) -> None:
        """Put a call's reports on their way, in a few portions. Faults decide about each."""
        stages = self._stages(call)
        url = call.report_url if call.report_url and self._may_push(call.report_url) else ""
        size = -(-len(stages) // PORTIONS) or 1
        for portion, start in enumerate(range(0, len(stages), size)):
            wait = call.done_at - time.time() + portion * call.delay / PORTIONS
            self._add(url, stages[start : start + size], max(0.0, wait))
        conflicts = [
            Stage(stage.entry, contrary(stage.entry.outcome))
            for stage in stages
            if not stage.intermediate and self._faults.fires("report_conflict")
        ]
        if conflicts:
            self._add(url, conflicts, call.delay * 2)

    async def push_early(self, call: Call) -> None:
        """Push a call's reports before it is answered; what is not taken follows later."""
        stages = self._stages(call)
        if not call.report_url or not self._may_push(call.report_url):
            self._to_pull += stages
            return
        for bucket in self._buckets(stages):
            await self._push(Due(0.0, 0, call.report_url, bucket))

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
        taken: list[Stage] = []
        kept: deque[Stage] = deque()
        while self._to_pull and len(taken) < limit:
            stage = self._to_pull.popleft()
            wrong_call = reference and stage.entry.call.reference != reference
            wrong_message = message_id and stage.entry.message_id != message_id
            (kept if wrong_call or wrong_message else taken).append(stage)
        self._to_pull.extendleft(reversed(kept))
        self._ledger.reported(stage.entry for stage in taken)
        return [self._json(stage) for stage in taken]

    def _stages(self, call: Call) -> list[Stage]:
        stages = []
        for entry in call.entries:
            if not entry.outcome.accepted or self._faults.fires("report_never"):
                continue
            if call.intermediate:
                stages.append(Stage(entry, entry.outcome, intermediate=True))
            if entry.outcome.kind is not Kind.SILENT or entry.outcome.name == "operator_only":
                stages.append(Stage(entry, entry.outcome))
        if self._faults.fires("report_reorder"):
            self._faults.shuffle(stages)
        return stages

    def _may_push(self, url: str) -> bool:
        """Only to this machine, unless another host was allowed by name; such reports wait to be pulled."""
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

    def _add(self, url: str, stages: list[Stage], wait: float, tries: int = 0) -> None:
        heapq.heappush(self._due, Due(time.monotonic() + wait, next(self._order), url, stages, tries))
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            for due in self._bundled(self._pop_due()):
                if not due.url:
                    self._to_pull += due.stages
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
        fresh: defaultdict[str, list[Stage]] = defaultdict(list)
        for item in due:
            if not item.tries:
                fresh[item.url] += item.stages
        again = [item for item in due if item.tries]
        return again + [Due(0.0, 0, url, bucket) for url, stages in fresh.items() for bucket in self._buckets(stages)]

    def _buckets(self, stages: list[Stage]) -> list[list[Stage]]:
        size = self._options.bucket
        return [stages[start : start + size] for start in range(0, len(stages), size)]

    async def _push_in_slot(self, due: Due) -> None:
        try:
            await self._push(due)
        finally:
            self._slots.release()

    async def _push(self, due: Due) -> None:
        results = [self._json(stage) for stage in due.stages]
        if self._faults.fires("report_unknown_id"):
            results.append(results[0] | {"messageId": f"nobody-{time.monotonic_ns()}"})
        body = orjson.dumps({"results": results})
        taken = await self._post(due.url, body)
        if taken and self._faults.fires("report_repeat"):
            await self._post(due.url, body)
            await self._post(due.url, body)
        if taken:
            self._ledger.reported(stage.entry for stage in due.stages if not stage.intermediate)
            for stage in due.stages:
                stage.entry.is_contradicted |= stage.outcome is not stage.entry.outcome
        elif due.tries + 1 < MAX_TRIES:
            # Infobip's cycle: 1 minute + 1 minute × n² before try n + 1, 20 of them.
            self._add(due.url, due.stages, 60 * (1 + due.tries**2) * self._options.time_scale, due.tries + 1)
        else:
            logger.warning("a body of %d reports was given up after %d tries", len(due.stages), MAX_TRIES)

    async def _post(self, url: str, body: bytes) -> bool:
        if self._session is None:
            return False
        try:
            async with self._session.post(url, data=body, allow_redirects=False) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    def _json(self, stage: Stage) -> Json:
        return report(stage.entry, stage.outcome, self._options.currency, intermediate=stage.intermediate)
