"""Kill -9 of one process or another, and whether that cut a gateway call; and processes that stand still."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from django.db.models import F
from django.utils import timezone

from accounts.choices import WebhookState
from accounts.models import WebhookDelivery
from messaging.choices import AttemptState, BatchState
from messaging.models import Attempt, ReportInbox
from smsapp.runtime.supervisor import Child, Supervisor, group_members
from tests.chaos.patience import LOOK, patiently, wait_until
from tests.chaos.plan import SENDING, Event, Target

SENDER = "worker"
PROGRAMS: dict[Target, str] = {
    Target.CHILD: SENDER,
    Target.FREEZE: SENDER,
    Target.WORKER: SENDER,
    Target.WORKER_ALONE: SENDER,
    Target.SINGLES_CHILD: "worker-fast",
    Target.SINGLES_WORKER: "worker-fast",
    Target.REPORTS_CHILD: "worker-reports",
    Target.REPORTS_WORKER: "worker-reports",
    Target.PERIODIC_CHILD: "worker-periodic",
    Target.PERIODIC_WORKER: "worker-periodic",
    Target.WEBHOOKS_CHILD: "worker-webhooks",
    Target.WEBHOOKS_WORKER: "worker-webhooks",
    Target.WEB: "web",
    Target.WEB_CHILD: "web",
    Target.BEAT: "beat",
    Target.BROKER: "broker",
    Target.DATABASE: "postgres",
}
ONE_CHILD = (
    *(Target.CHILD, Target.FREEZE, Target.SINGLES_CHILD, Target.REPORTS_CHILD, Target.PERIODIC_CHILD),
    *(Target.WEBHOOKS_CHILD, Target.WEB_CHILD),
)
AT_REPORTS = (Target.WEB, Target.WEB_CHILD)  # hit while delivery reports come in
AT_WEBHOOKS = (Target.WEBHOOKS_CHILD, Target.WEBHOOKS_WORKER)  # hit while the customer's server is being called
REPORT_PATIENCE = 3.0  # seconds until one does
PATIENCE = 10.0  # seconds until there is a call, or a child, to kill; then whatever is there is killed


def strike(supervisor: Supervisor, event: Event) -> int:
    """Do what the event says, and bring back what died; how many open calls that cut.

    A call counts as cut if its attempt was committed, the process that made it is dead, and nothing was recorded.
    """
    if event.target in AT_REPORTS:
        known = _bodies(supervisor)
        wait_until(lambda: _bodies(supervisor) > known, REPORT_PATIENCE)
    if event.target in AT_WEBHOOKS:
        wait_until(lambda: _is_calling(supervisor), REPORT_PATIENCE)
    child, victims = _find(supervisor, event)
    family = {child.pid, *processes_of(child)} if event.target not in ONE_CHILD else victims
    signal_all(victims, signal.SIGKILL)
    if event.target is Target.WORKER_ALONE:
        time.sleep(event.seconds)
        child.end()
    wait_until(lambda: not any(is_alive(pid) for pid in family), PATIENCE)
    cut = sum(pid in family for pid in callers(supervisor)) if event.target in SENDING else 0
    supervisor.watch()
    return cut


def freeze(supervisor: Supervisor, event: Event, seconds: float) -> threading.Timer:
    """Stop a child in the middle of its call; the timer that lets it go on, unless it is killed before."""
    _, victims = _find(supervisor, event)
    signal_all(victims, signal.SIGSTOP)
    timer = threading.Timer(seconds, signal_all, (victims, signal.SIGCONT))
    timer.daemon = True
    timer.start()
    return timer


def wait_for_call(supervisor: Supervisor, event: Event) -> None:
    """Until the sending worker has a call open, and then the event's delay; not for ever."""
    wait_until(lambda: bool(callers(supervisor)), PATIENCE)
    time.sleep(event.delay)


def callers(supervisor: Supervisor) -> list[int]:
    """The process ids, as written in their leases, of those that have a call open: one for each call."""
    open_calls = Attempt.objects.filter(
        state=AttemptState.OPEN, batch__state=BatchState.LEASED, epoch=F("batch__lease_epoch")
    )
    owners = open_calls.values_list("batch__lease_owner", flat=True)
    return [process_of(owner) for owner in patiently(supervisor, lambda: list(owners.all()))]


def process_of(lease_owner: str) -> int:
    return int(lease_owner.rpartition(":")[2])


def processes_of(child: Child) -> set[int]:
    """The living processes of a program: its group, and what these have started in groups of their own."""
    found = {child.pid, *group_members(child.pid)}
    parents = dict(_parents())
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return {pid for pid in found if is_alive(pid)}


def is_alive(pid: int) -> bool:
    """A process that has ended and was not waited for (Z) is dead."""
    with contextlib.suppress(OSError):
        return _state_and_parent(pid)[0] not in "ZX"
    return False


def _parents() -> list[tuple[int, int]]:
    pairs = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                pairs.append((int(entry.name), int(_state_and_parent(int(entry.name))[1])))
    return pairs


def _state_and_parent(pid: int) -> list[str]:
    # pid (name, which may hold anything) state parent …
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]


def _find(supervisor: Supervisor, event: Event) -> tuple[Child, set[int]]:
    """The program and the processes to kill, after the event's delay, with a call open if that is wanted and comes
    about in time. A call that was answered and recorded during the delay is over: the next one is waited for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        supervisor.watch()
        child = supervisor.children[PROGRAMS[event.target]]
        group = sorted(processes_of(child))
        calling = _calling(supervisor, event, group)
        victims = _victims(child, group, calling, event)
        is_ready = bool(victims and (calling or not event.wants_call))
        if is_ready:
            time.sleep(event.delay)
            watched = victims if event.target in ONE_CHILD else set(calling)
            is_ready = not event.wants_call or not watched.isdisjoint(_calling(supervisor, event, group))
        if is_ready or time.monotonic() > deadline:
            return child, victims or {child.pid}
        time.sleep(LOOK)


def _calling(supervisor: Supervisor, event: Event, group: list[int]) -> list[int]:
    """The processes that have a call open, those of the group to be hit; none if the event does not ask for it."""
    calling = callers(supervisor) if event.wants_call else []
    return calling if event.target is Target.DATABASE else [pid for pid in calling if pid in group]


def _victims(child: Child, group: list[int], calling: list[int], event: Event) -> set[int]:
    """Empty while there is no child to choose."""
    if event.target in ONE_CHILD:
        children = calling or [pid for pid in group if pid != child.pid]
        return {children[int(event.pick * len(children))]} if children else set()
    return {child.pid} if event.target is Target.WORKER_ALONE else set(group)


def signal_all(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _bodies(supervisor: Supervisor) -> int:
    return patiently(supervisor, ReportInbox.objects.count)


def _is_calling(supervisor: Supervisor) -> bool:
    """Whether a webhook is under way; what a killed process held counts until its lease ends."""
    held = WebhookDelivery.objects.filter(state=WebhookState.WAITING, lease_until__gt=timezone.now())
    return patiently(supervisor, held.exists)
