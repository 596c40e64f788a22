"""The calls of one dispatch task that have not ended.

Each gateway has its own slots and connections in a process, so one that does not answer takes none from the others.
"""

import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from django.conf import settings

from messaging.gateways import registry
from messaging.gateways.transport import MAX_CONNECTIONS
from messaging.sending.capacity import Free
from messaging.sending.submit import Call, Result, make_call
from smsapp.core.budget import Budget

SLOW_AFTER = 0.5  # seconds after which other calls begin without waiting for this one
LOOK_EVERY = 0.25  # seconds between two looks at the queue while no call ends


class InFlight:
    """A context manager that waits for its calls.

    The calls run in threads of their own, without a database. Use it only from the thread that made it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(settings.GATEWAY_CALLS_IN_FLIGHT * max(1, len(registry.names())))
        self._calls: dict[Future[Result], tuple[Call, float]] = {}  # with their start (monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    def __bool__(self) -> bool:
        return bool(self._calls)

    def begin(self, call: Call) -> None:
        self._calls[self._threads.submit(make_call, call)] = (call, time.monotonic())

    def free(self, gateway: str) -> Free:
        own = [call for call, _ in self._calls.values() if call.gateway.name == gateway]
        connections = sum(call.gateway.policy.connections(len(call.message_pks)) for call in own)
        return Free(settings.GATEWAY_CALLS_IN_FLIGHT - len(own), MAX_CONNECTIONS - connections)

    @property
    def fresh(self) -> list[Call]:
        """Return the calls that began only just now."""
        return [call for call, began in self._calls.values() if not _is_slow(began)]

    @property
    def slow(self) -> set[str]:
        """Return the gateways that have not answered a call for a while."""
        return {call.gateway.name for call, began in self._calls.values() if _is_slow(began)}

    @property
    def has_suspect(self) -> bool:
        """Return whether a call carries a batch whose last lease ended without a result."""
        return any(call.batch.lease_count for call, _ in self._calls.values())

    def ended(self, gather: float) -> list[Result]:
        """Return the results of calls that have ended, after a short wait if none has. See `wait_for_some`."""
        finished = wait_for_some(self._calls, gather)
        for future in finished:
            del self._calls[future]
        return [future.result() for future in finished]


def wait_for_some(calls: Iterable[Future[Result]], gather: float) -> set[Future[Result]]:
    """Return the calls that have ended, waiting up to LOOK_EVERY seconds for the first.

    The first to end waits up to `gather` seconds until half of them have. The more are recorded, leased and prepared
    together, the less each costs, and the gateway works on the other half meanwhile.
    """
    finished, others = wait(calls, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
    budget = Budget(gather)
    while finished and len(finished) < len(others) and (left := budget.left) > 0:
        more, others = wait(others, timeout=left, return_when=FIRST_COMPLETED)
        finished |= more
    return finished


def _is_slow(began: float) -> bool:
    return time.monotonic() - began >= SLOW_AFTER
