"""Batches leave for the gateway:

1. lease    ready batches, by one conditional update: owner, epoch + 1, deadline (`leases.py`)
2. open     attempts, committed before their calls: the campaign runs, the epoch is ours, opt-outs and validity are
            checked, the texts are rendered (`opening.py`)
3. call     the gateway, outside any transaction, several calls in flight, threads without a database (`calls.py`)
4. record   what came of it; whatever is not certain becomes `unknown` and is looked up, never sent again blindly
            (`recording.py`)

Killed between any two lines, the sweep finds the batch by its lease and the attempt it left open.

Batches of one campaign and gateway that were leased together are opened in one transaction, and answers that came
meanwhile are recorded in one: what each costs beside its messages is then shared. If one of them breaks, each is done
apart.
"""

import time
from collections.abc import Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import groupby
from operator import attrgetter

from django.conf import settings

from messaging import gateways, pacing, restored
from messaging.calls import Result, make_call
from messaging.choices import Lane
from messaging.identity import MAX_IN_BATCH
from messaging.leases import lease
from messaging.models import Batch
from messaging.opening import open_attempts
from messaging.recording import record_all
from smsapp.apart import apart, together
from smsapp.wake import wake

SHORT_WAIT = 1.0  # seconds a worker waits itself for the gateway's pace; for longer it ends, and beat wakes it again
UNCHOSEN = [""]  # batches for which nobody could choose a gateway when they were made
#: Seconds for which answers are waited for, to be recorded with the first. A single send waits for nobody.
GATHER = {Lane.SINGLES: 0.0, Lane.CAMPAIGNS: 0.05}


def dispatch_ready(lane: Lane, budget: float | None = None) -> int:
    """Send ready batches of a lane until none is left or `budget` seconds are over; how many calls were made."""
    stop_at = time.monotonic() + (settings.TASK_BUDGET if budget is None else budget)
    in_flight: set[Future[Result]] = set()
    has_suspect = False
    calls = 0
    with ThreadPoolExecutor(settings.GATEWAY_CALLS_IN_FLIGHT) as threads:
        while True:
            has_suspect = has_suspect and bool(in_flight)
            room = 0 if has_suspect else settings.GATEWAY_CALLS_IN_FLIGHT - len(in_flight)
            time_left = time.monotonic() < stop_at
            usable, closed_for = open_gateways(lane)
            lease_some = partial(lease_allowed, lane, usable, with_suspects=not in_flight)
            leased = apart(lease_some, room) if room and time_left and usable else None
            has_suspect = has_suspect or any(batch.lease_count for batch in leased or ())
            for batches in by_road(leased or ()):
                for call in together(open_attempts, batches):
                    in_flight.add(threads.submit(make_call, call))
                    calls += 1
            if in_flight:
                finished, in_flight = wait_for_some(in_flight, GATHER[lane])
                record_all([future.result() for future in finished])
            elif not leased and 0 < closed_for <= SHORT_WAIT and time_left:
                time.sleep(closed_for)
            elif not leased:
                break
    if not time_left:
        wake(f"messaging.dispatch_{lane.name.lower()}")
    return calls


def wait_for_some(in_flight: set[Future[Result]], gather: float) -> tuple[set[Future[Result]], set[Future[Result]]]:
    """The calls that have ended, if any does within a second, and the others. The first to end waits for up to
    `gather` seconds until half of them have: the more are recorded, leased and opened together, the less each costs,
    and the gateway has the other half to work on meanwhile."""
    finished, others = wait(in_flight, timeout=1, return_when=FIRST_COMPLETED)
    stop_at = time.monotonic() + gather
    while finished and len(finished) < len(others) and (left := stop_at - time.monotonic()) > 0:
        more, others = wait(others, timeout=left, return_when=FIRST_COMPLETED)
        finished |= more
    return finished, others


def lease_allowed(lane: Lane, usable: Collection[str], limit: int, *, with_suspects: bool) -> list[Batch]:
    """`lease`, unless the installation is held."""
    return lease(lane, limit, usable, with_suspects=with_suspects) if restored.may_send() else []


def by_road(batches: Iterable[Batch]) -> list[list[Batch]]:
    """Runs of batches of one campaign that go to the same gateway, so that accounts keep their turns."""
    return [list(run) for _, run in groupby(batches, key=attrgetter("campaign_id", "gateway"))]


def open_gateways(lane: Lane) -> tuple[list[str], float]:
    """The gateways that may be called now, and the seconds until one of the others may, 0 if there is none."""
    wanted = 1 if lane is Lane.SINGLES else MAX_IN_BATCH
    looks = {name: pacing.may_call(name, wanted) for name in gateways.names()}
    waits = [look.wait for look in looks.values() if not look]
    usable = [name for name, look in looks.items() if look]
    return [*usable, *UNCHOSEN[: len(usable)]], min(waits, default=0.0)
