"""Batches leave for the gateway, in four steps.

1. lease    ready batches, by one conditional update: owner, epoch + 1, deadline (`leases.py`)
2. prepare  attempts, committed before their calls: the campaign runs, the epoch is ours, opt-outs and validity are
            checked, the texts are rendered (`prepare.py`)
3. submit   to the gateway, outside any transaction, several calls in flight, threads without a database (`submit.py`)
4. record   the outcome; whatever is not certain becomes `unknown` and is looked up, never sent again blindly
            (`record.py`)

If the process is killed between any two lines, the sweep finds the batch by its lease and the attempt it left open.

Batches of one campaign and gateway that are leased together are prepared in one transaction, and answers that arrive
together are recorded in one, so they share the cost. If one of them fails, each is done by itself.

A call that hangs blocks only its own gateway: each gateway has slots of its own (`in_flight.py`). The task goes on with
the others, and when its budget is over it does so until no call hangs any more.
"""

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

from django.conf import settings

from messaging.choices import Lane
from messaging.gateways import registry
from messaging.ids import MAX_IN_BATCH
from messaging.models import Batch
from messaging.restore import detection
from messaging.routing import sender_rates, throttle
from messaging.sending.capacity import Capacity
from messaging.sending.in_flight import LOOK_EVERY, InFlight
from messaging.sending.leases import lease
from messaging.sending.prepare import open_attempts
from messaging.sending.record import record_all
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_batched, run_isolated

SHORT_WAIT = 1.0  # seconds a worker waits for capacity itself; for longer it ends, and beat starts it again
#: Seconds to wait for more answers, to record them together. A single send does not wait.
GATHER = {Lane.SINGLES: 0.0, Lane.CAMPAIGNS: 0.05}
NO_CAPACITY = Capacity({})


def dispatch_ready(lane: Lane, seconds: float | None = None) -> int:
    """Send ready batches of a lane until none is left or the time is over. Return the number of calls."""
    return Dispatch(lane, settings.TASK_BUDGET if seconds is None else seconds).run()


class Dispatch:
    """One run of one process: overlapping calls, begun and recorded in turn."""

    def __init__(self, lane: Lane, seconds: float) -> None:
        self._lane = lane
        self._budget = Budget(seconds)
        self._in_flight = InFlight()
        self._calls = 0

    def run(self) -> int:
        """Return the number of calls."""
        with self._in_flight:
            while self._go_on():
                pass
        if self._budget.is_over:
            enqueue(f"messaging.dispatch_{self._lane.name.lower()}")
        return self._calls

    def _go_on(self) -> bool:
        """Begin calls and record those that have ended. Return False when there is nothing more to do now."""
        is_over = self._budget.is_over
        may_begin = not is_over or self._budget.left > -settings.GATEWAY_TIMEOUT
        capacity, wait = (
            find_capacity(self._lane, self._in_flight, is_over=is_over) if may_begin else (NO_CAPACITY, 0.0)
        )
        leased = lease_some(self._lane, capacity, self._in_flight)
        self._begin(leased)
        if self._in_flight:
            record_all(self._in_flight.ended(GATHER[self._lane]))
        elif is_over or not (leased or 0 < wait <= SHORT_WAIT):
            return False
        elif not leased:
            time.sleep(min(wait, LOOK_EVERY))
        return True

    def _begin(self, leased: Sequence[Batch]) -> None:
        for batches in group_by_route(leased):
            for call in run_batched(open_attempts, batches):
                self._in_flight.begin(call)
                self._calls += 1


def find_capacity(lane: Lane, in_flight: InFlight, *, is_over: bool) -> tuple[Capacity, float]:
    """Return what can be sent now, and the seconds until more can, 0 if nothing waits.

    When the task's budget is over, only gateways that answer count, and only while another one hangs: what begins then
    ends soon.
    """
    yields = lane is Lane.CAMPAIGNS
    looks = {name: throttle.may_call(name, MAX_IN_BATCH if yields else 1, yields=yields) for name in registry.names()}
    slow = in_flight.slow if is_over else set()
    free = {name: in_flight.free(name) for name, look in looks.items() if look and name not in slow}
    if is_over and not slow:
        free = {}
    own = sender_rates.look(yields=yields) if free else []
    waits = [look.wait for look in (*looks.values(), *(look for _, look in own)) if not look]
    capacity = Capacity(
        gateways={name: capacity for name, capacity in free.items() if capacity},
        full=[rate.batches for rate, look in own if not look],
        left={rate.name: look.granted for rate, look in own},
    )
    return capacity, min(waits, default=0.0)


def lease_some(lane: Lane, capacity: Capacity, in_flight: InFlight) -> list[Batch]:
    """Lease the batches there is capacity for, unless sending is held.

    A batch whose last lease ended without a result is begun alone, and waits for a slow call no longer than others.
    Should it be the one that kills its worker, no other batch is suspected more than once.
    """
    fresh = in_flight.fresh
    if not capacity.gateways or any(call.batch.lease_count for call in fresh):
        return []
    with_suspects = not fresh and not in_flight.has_suspect

    def lease_allowed(limit: int) -> list[Batch]:
        return lease(lane, limit, capacity, with_suspects=with_suspects) if detection.may_send() else []

    return run_isolated(lease_allowed, capacity.calls) or []


def group_by_route(batches: Iterable[Batch]) -> list[list[Batch]]:
    """Return runs of batches with the same campaign and gateway. Runs keep the order, so accounts keep their turns."""
    return [list(run) for _, run in groupby(batches, key=attrgetter("campaign_id", "gateway"))]
