"""A simulator of the test's own: in this process, on a thread and a free port, up in milliseconds."""

import asyncio
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from messaging.gateways.base import Policy
from messaging.gateways.infobip import Infobip
from messaging.simulator.faults import FAULTS, SETTINGS
from messaging.simulator.options import Options
from messaging.simulator.server import Simulator

START_SECONDS = 10


class RunningSimulator:
    """What a test may ask of it, over HTTP as anybody could. `simulator` is the object itself, on its own thread."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.url = simulator.url
        self.api_key = simulator.options.api_key
        self._gateways: list[Infobip] = []

    def ledger(self) -> dict[str, int]:
        """See `Ledger.summary`; plus `pending_reports`."""
        return orjson.loads(self._ask("GET", "ledger"))

    def messages(self) -> list[dict[str, Any]]:
        """All messages of the ledger: id, to, outcome, kind, times_accepted, reference, segments, sender."""
        found: list[dict[str, Any]] = []
        while True:
            lines = self._ask("GET", f"messages?offset={len(found)}&limit=50000").splitlines()
            found += map(orjson.loads, lines)
            if len(lines) < 50_000:
                return found

    def accepted_ids(self) -> list[str]:
        """Each id as often as it was accepted."""
        return [message["id"] for message in self.messages() for _ in range(message["times_accepted"])]

    def set_faults(self, **values: float) -> None:
        """Faults not named are off; settings (latency_ms, log_lag, …) not named stay."""
        self._ask("PUT", "faults", orjson.dumps(values))

    def fired(self) -> dict[str, int]:
        """How often each fault came about, from the start."""
        return orjson.loads(self._ask("GET", "faults"))["fired"]

    def flush(self) -> None:
        """Push every report that is waiting, and return when the pushes are answered."""
        self._ask("POST", "flush", b"")

    def gateway(self, *, timeout: float = 5.0, api_key: str | None = None, **policy: Any) -> Infobip:
        """An adapter of the test's own, pointed here."""
        adapter = Infobip(
            name="simulator",
            base_url=self.url,
            api_key=self.api_key if api_key is None else api_key,
            policy=Policy(**{"max_batch": 1000, "lookup_grace": 0.1, "resend_unknown_after": 0.2} | policy),
            connect_timeout=2.0,
            timeout=timeout,
        )
        self._gateways.append(adapter)
        return adapter

    def close_gateways(self) -> None:
        for adapter in self._gateways:
            adapter.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}/simulator/{path}", data=body, method=method)  # noqa: S310
        with _no_proxy.open(request, timeout=30) as response:
            return response.read()


_no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def running_simulator(**options: Any) -> Iterator[RunningSimulator]:
    """Options are those of `messaging.simulator.options.Options`; a name of a fault or setting may be given beside
    them: `running_simulator(seed=3, accept_reset=0.2, report_delay_ms=50)`."""
    faults = {name: options.pop(name) for name in list(options) if name in FAULTS or name in SETTINGS}
    faults = {"report_delay_ms": 20.0, "hang_seconds": 5.0} | options.pop("faults", {}) | faults
    simulator = Simulator(Options(**options, faults=faults))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(START_SECONDS)
        running = RunningSimulator(simulator)
        yield running
        running.close_gateways()
    finally:
        asyncio.run_coroutine_threadsafe(_end(simulator), loop).result(START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS)
        loop.close()


async def _end(simulator: Simulator) -> None:
    await simulator.stop()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
