"""One run: an installation of real processes, a campaign, the plan's blows, the recovery, the verdict."""

import csv
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from campaigns import services
from campaigns.models import Campaign
from messaging.models import Attempt
from smsapp.demo.client import Client
from smsapp.demo.display import say
from smsapp.management.commands.demo_account import read_credentials
from tests.chaos import kills
from tests.chaos.evidence import Ledger, faults_met, is_settled, judge, story
from tests.chaos.oracle import Finding
from tests.chaos.plan import Event, Target, make_plan
from tests.chaos.stand import CALM, LEASE, Stand, misbehaviour
from tests.data.make_customers import number

LOOK = 0.05  # seconds between two looks at the campaign
TEXT = "Hello {name}, your parcel is on its way."
RECOVERY = 180.0  # seconds at most, from the last fault until everything is settled
SHOWN = 20  # findings of each kind


class Overdue(Exception):
    """The run's time is over; the text says what was waited for."""


class Run:
    def __init__(self, stand: Stand, messages: int, kill_count: int, seed: int, seconds: float) -> None:
        self.stand, self.messages, self.seed = stand, messages, seed
        self.deadline = time.monotonic() + seconds
        self.plan = make_plan(seed, messages, kill_count, with_broker=not stand.own.redis_url)
        self.killed: Counter[str] = Counter()
        self.kills_in_call = 0
        self.frozen: list[threading.Timer] = []
        self.begun_in_pause: list[Finding] = []
        self.recovery: float | None = None
        self.recipients = ["".join(number(index, seed)) for index in range(messages)]

    def play(self) -> bool:
        """Ends with the JSON line; True if nothing was lost, doubled or mis-stated."""
        say("Starting broker, simulator, web server, workers and beat ...")
        self.stand.start()
        self.stand.set_faults(misbehaviour(self.messages))
        self.campaign = self._send()
        try:
            self._strike_all()
            self._recover()
        except Overdue as error:
            say(f"OVERDUE: {error}")
        self.stand.stop()
        return self._conclude()

    def _send(self) -> Campaign:
        path = self.stand.own.folder / "customers.csv"
        write_customers(path, self.recipients)
        demo = read_credentials(self.stand.own.folder / "demo.json")
        client = Client(self.stand.url, demo["api_key"], self.deadline)
        *_, upload = client.upload(path)
        fields = {"name": "Chaos", "message": TEXT, "sender_id": demo["sender_id"], "upload_id": upload["upload_id"]}
        return Campaign.objects.get(bulk_id=client.start_campaign(**fields)["bulk_id"])

    def _strike_all(self) -> None:
        started = time.monotonic()
        for event in self.plan:
            self._wait_for(f"{event.target} at {event.at} messages", lambda: self._handed_over() >= event.at)  # noqa: B023
            what = self._do(event)
            say(f"{time.monotonic() - started:6.1f} s  {self._handed_over():>6} handed over  {event.target}: {what}")

    def _do(self, event: Event) -> str:
        """What was done, in words."""
        if event.target is Target.PAUSE:
            self._pause(event.seconds)
            return "paused and resumed"
        if event.target is Target.FREEZE:
            self.frozen.append(kills.freeze(self.stand.supervisor, event, LEASE + event.seconds))
            return "one child stands still"
        cut = kills.strike(self.stand.supervisor, event)
        self.killed[event.target] += 1
        self.kills_in_call += cut > 0
        return f"killed, {cut} calls cut"

    def _recover(self) -> None:
        """From the last fault until nothing is left to learn and nobody holds anything."""
        self._wait_for("the frozen to go on", lambda: not any(timer.is_alive() for timer in self.frozen))
        self.stand.set_faults(CALM)
        started = time.monotonic()
        self.deadline = min(self.deadline, started + RECOVERY)
        self._wait_for("everything to be settled", lambda: is_settled(self.campaign))
        self.recovery = round(time.monotonic() - started, 1)

    def _pause(self, seconds: float) -> None:
        """No call may begin between the answer to the pause and the resumption."""
        services.pause(self.campaign, self.campaign.user)
        before = list(Attempt.objects.values_list("pk", flat=True))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.stand.supervisor.watch()
            time.sleep(LOOK)
        begun = Attempt.objects.exclude(pk__in=before)
        self.begun_in_pause += [Finding(f"call {call} began during a pause", call.first) for call in begun]
        self.campaign.refresh_from_db()
        services.resume(self.campaign, self.campaign.user)

    def _wait_for(self, what: str, condition: Any) -> None:
        while True:
            self.stand.supervisor.watch()
            self.campaign.refresh_from_db()
            if condition():
                return
            if time.monotonic() > self.deadline:
                raise Overdue(f"waited for {what}; the campaign is {self.campaign.status}: {self.campaign.tally}")
            time.sleep(LOOK)

    def _handed_over(self) -> int:
        return self.campaign.total_recipients - self.campaign.waiting - self.campaign.queued

    def _conclude(self) -> bool:
        self.campaign.refresh_from_db()
        ledger = Ledger(self.stand.simulator_url)
        verdict = judge(self.campaign, ledger, self.recipients)
        verdict.misstated += self.begun_in_pause
        for name in ("lost", "doubled", "misstated"):
            findings = getattr(verdict, name)
            for finding in findings[:SHOWN]:
                say(f"{name.upper()}: {story(finding)}")
            if len(findings) > SHOWN:
                say(f"{name.upper()}: and {len(findings) - SHOWN} more")
        outcome = {
            "messages": self.messages,
            "kills": self.killed.total(),
            "kills_in_call": self.kills_in_call,
            "frozen": len(self.frozen),
            "killed": dict(sorted(self.killed.items())),
            "faults": faults_met(ledger),
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "misstated": len(verdict.misstated),
            "unconfirmed": verdict.unconfirmed,
            "recovery_s": self.recovery,
            "seed": self.seed,
            "database": "postgres" if self.stand.own.server_url else "sqlite",
        }
        self.outcome = outcome
        return verdict.is_good and self.recovery is not None


def write_customers(path: Path, phones: list[str]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("name", "phone"))
        table.writerows((f"Customer {place}", f"+{phone}") for place, phone in enumerate(phones, 1))
