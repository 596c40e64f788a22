"""One run: an installation of real processes, a campaign, the plan's blows, the recovery, the verdict."""

import csv
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accounts.security import audit
from campaigns import services
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.models import Attempt
from smsapp.core.exceptions import InvalidState
from smsapp.demo.client import Client
from smsapp.demo.display import say
from tests.chaos import kills
from tests.chaos.answers import Told
from tests.chaos.clients import Clients
from tests.chaos.evidence import is_settled, judge, story, unsettled
from tests.chaos.ledger import Ledger, read_ledger
from tests.chaos.left_behind import left_behind
from tests.chaos.money import is_paid, meter
from tests.chaos.oracle import Finding, Verdict
from tests.chaos.patience import patiently
from tests.chaos.plan import NO_KILL, SENDING, Event, Target, make_plan
from tests.chaos.stand import CALM, LEASE, REPORT_DEADLINE, Stand, misbehaviour
from tests.chaos.waits import ELSEWHERE, share_within, stalled, undisturbed, waits
from tests.chaos.webhooks import Listener
from tests.data.make_customers import number

LOOK = 0.05  # seconds between two looks at the campaign
TEXT = "Hello {name}, your parcel is on its way."
PAYMENT = 75.0  # seconds: what is closed is paid for every 30
RECOVERY = REPORT_DEADLINE + 120.0  # seconds at most, from the last fault until everything is settled
DISK_FULL = 2.0  # seconds at least
SHOWN = 20  # findings of each kind


class Overdue(Exception):
    """The run's time is over; the text says what was waited for."""


class Run:
    """`ledger_path`: where a server that is not ours writes its ledger, if it does."""

    def __init__(
        self, stand: Stand, messages: int, kill_count: int, seed: int, seconds: float, ledger_path: Path | None = None
    ) -> None:
        self.stand, self.messages, self.seed, self.ledger_path = stand, messages, seed, ledger_path
        self.deadline = time.monotonic() + seconds
        self.plan = make_plan(seed, messages, kill_count, stand.targets)
        self.struck: Counter[Target] = Counter()
        self.kills_in_call = 0
        self.blows: list[float] = []  # at what a single send needs: begin and end of each, in seconds since the epoch
        self.frozen: list[threading.Timer] = []
        self.begun_in_pause: list[Finding] = []
        self.recovery: float | None = None
        self.recipients = phones(messages, seed)
        self.listener = Listener()

    def play(self) -> bool:
        """Leaves `outcome`; True if nothing was lost, doubled or mis-stated, and everything settled in time."""
        say("Starting broker, simulator, web server, workers and beat ...")
        self.stand.start()
        self.stand.set_faults(misbehaviour(self.messages // self.stand.call_size))
        demo = self.stand.credentials()
        self._read(partial(meter, "Demo"))
        self.listener.start("Demo")
        self.campaign = send(self.stand, self.recipients, self.deadline)
        limit = 20 + self.messages // 20
        self.clients = Clients(
            self.stand.url, demo["api_key"], demo["sender_id"], self.seed, first=self.messages, limit=limit
        )
        self.clients.start()
        try:
            self._strike_all()
            self.clients.stop(self.stand.supervisor.watch)
            self._recover()
        except Overdue as error:
            say(f"OVERDUE: {error}")
            self.clients.stop(self.stand.supervisor.watch)
        self.stand.stop()
        self.listener.stop()
        return self._conclude()

    # --- blows --------------------------------------------------------------------------------------------

    def _strike_all(self) -> None:
        started = time.monotonic()
        for event in self.plan:
            self._wait_for(f"{event.target} at {event.at} messages", lambda: self._handed_over() >= event.at)  # noqa: B023
            began = time.time()
            what = self._do(event)
            if event.target not in ELSEWHERE:
                self.blows += [began, time.time()]  # some last, and end later than they were meant to
            self.struck[event.target] += 1
            say(f"{time.monotonic() - started:6.1f} s  {self._handed_over():>6} handed over  {event.target}: {what}")

    def _do(self, event: Event) -> str:
        """What was done, in words."""
        supervisor = self.stand.supervisor
        match event.target:
            case Target.PAUSE:
                self._pause(event.seconds)
                return "paused and resumed"
            case Target.FREEZE:
                self.frozen.append(kills.freeze(supervisor, event, LEASE + event.seconds))
                return "one child stands still"
            case Target.SUPERVISOR:
                return self.stand.kill_supervisor(event)
            case Target.CONNECTIONS:
                kills.wait_for_call(supervisor, event)
                return f"{patiently(supervisor, self.stand.cut_connections)} cut"
            case Target.FLUSH:
                patiently(supervisor, self.stand.forget)
                return "the broker knows nothing any more"
            case Target.DISK:
                kills.wait_for_call(supervisor, event)
                patiently(supervisor, lambda: self.stand.fill_disk(DISK_FULL + event.seconds))
                return f"full for {DISK_FULL + event.seconds:.1f} s"
        cut = kills.strike(supervisor, event)
        self.kills_in_call += cut > 0
        return f"killed, {cut} calls cut" if event.target in SENDING else "killed"

    def _pause(self, seconds: float) -> None:
        """No call may begin between the answer to the pause and the resumption."""
        self._move(services.pause, CampaignStatus.PAUSED)
        calls = Attempt.objects.filter(batch__campaign=self.campaign)
        before = self._read(lambda: list(calls.values_list("pk", flat=True)))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.stand.supervisor.watch()
            time.sleep(LOOK)
        begun = self._read(lambda: list(calls.exclude(pk__in=before)))
        self.begun_in_pause += [Finding(f"call {call} began during a pause", call.first) for call in begun]
        self._move(services.resume, CampaignStatus.RUNNING)

    def _move(self, service: Callable[..., Campaign], to: CampaignStatus) -> None:
        """A service whose answer may be lost with the database: then it is asked for once more, and may refuse."""
        try:
            self._read(lambda: service(self.campaign, self.campaign.user))
        except InvalidState:
            self._read(self.campaign.refresh_from_db)
            if self.campaign.status != to:
                raise
        self._read(self.campaign.refresh_from_db)

    # --- recovery -----------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """From the last fault until nothing is left to learn and nobody holds anything."""
        self._wait_for("the frozen to go on", lambda: not any(timer.is_alive() for timer in self.frozen))
        self.stand.set_faults(CALM)
        self.stand.hanging.relent()
        self.listener.calm()
        started = time.monotonic()
        self.deadline = min(self.deadline, started + RECOVERY)
        self._wait_for("everything to be settled", is_settled)
        self.recovery = round(time.monotonic() - started, 1)
        self.stand.push_reports()  # contrary ones that are still to come
        self.deadline = time.monotonic() + PAYMENT
        self._wait_for("the last reports to be applied and paid for", lambda: is_settled() and is_paid())

    def _wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        while True:
            self.stand.supervisor.watch()
            self._read(self.campaign.refresh_from_db)
            self.stand.come_to(self._handed_over() / self.messages)
            if self._read(condition):
                return
            if time.monotonic() > self.deadline:
                raise Overdue(f"waited for {what}\n    {self._read(unsettled)}")
            time.sleep(LOOK)

    def _handed_over(self) -> int:
        return self.campaign.total_recipients - self.campaign.waiting - self.campaign.queued

    def _read(self, act: Callable[[], Any]) -> Any:
        return patiently(self.stand.supervisor, act)

    # --- verdict ------------------------------------------------------------------------------------------

    def _conclude(self) -> bool:
        ledger, record = self._ledger(), self.clients.record
        verdict = self._read(lambda: judge(self.recipients, record.requests, ledger, listener=self.listener))
        verdict.misstated += self.begun_in_pause + record.surprises
        waited = self._read(waits)
        calm = undisturbed(waited, self.blows)
        verdict.stalled += stalled(calm)
        tell(verdict)
        told = Counter(request.told for request in record.requests)
        killed = {target: count for target, count in self.struck.items() if target not in NO_KILL}
        self.outcome = {
            "messages": self.messages,
            "kills": sum(killed.values()),
            "kills_in_call": self.kills_in_call,
            "struck": dict(sorted(self.struck.items())),
            "faults": self.stand.fired(),
            "left_behind": self._read(lambda: left_behind(ledger.calls)) if ledger else {},
            "requests": {told_so: told[told_so] for told_so in Told},
            "answers": dict(sorted(record.answers.items())),
            "repeats": record.repeats,
            "webhooks": dict(sorted(self.listener.calls.items())),
            "told": len(self.listener.told),
            "audited": self._read(audit.head)[0],
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "misstated": len(verdict.misstated),
            "stalled": len(verdict.stalled),
            "singles": {
                "beside a hanging gateway": len(waited),
                "undisturbed": len(calm),
                "within_1_s": share_within(calm, 1.0),
                "slowest_s": max((round(wait.seconds, 2) for wait in calm), default=None),
            },
            "unconfirmed": verdict.unconfirmed,
            "recovery_s": self.recovery,
            "seed": self.seed,
            "database": "postgres" if self.stand.is_on_postgresql else "sqlite",
            "ledger": "compared" if ledger else "not compared",
            **self.stand.outcome(),
        }
        return verdict.is_good and self.recovery is not None

    def _ledger(self) -> Ledger | None:
        if not self.stand.gateway_url:
            return self.stand.ledger()
        return read_ledger(self.ledger_path) if self.ledger_path else None


def send(stand: Stand, recipients: Sequence[str], deadline: float) -> Campaign:
    """A campaign to all of them, by way of a file, begun while nothing is wrong yet."""
    demo, path = stand.credentials(), stand.own.folder / "customers.csv"
    write_customers(path, recipients)
    client = Client(stand.url, demo["api_key"], deadline)
    *_, upload = client.upload(path)
    fields = {"name": "Chaos", "message": TEXT, "sender_id": demo["sender_id"], "upload_id": upload["upload_id"]}
    return Campaign.objects.get(bulk_id=client.start_campaign(**fields)["bulk_id"])


def tell(verdict: Verdict) -> None:
    """The first findings of each kind, with their stories."""
    for name in ("lost", "doubled", "misstated", "stalled"):
        findings = getattr(verdict, name)
        for finding in findings[:SHOWN]:
            say(f"{name.upper()}: {story(finding)}")
        if len(findings) > SHOWN:
            say(f"{name.upper()}: and {len(findings) - SHOWN} more")


def phones(count: int, seed: int) -> list[str]:
    return ["".join(number(index, seed)) for index in range(count)]


def write_customers(path: Path, recipients: Sequence[str]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("name", "phone"))
        table.writerows((f"Customer {place}", f"+{phone}") for place, phone in enumerate(recipients, 1))
