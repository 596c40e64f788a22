"""The whole machine goes back in time, in mid campaign: ROLLBACK=1.

At some moment a snapshot is taken of its disks. It goes on sending, loses all power, is put back to the snapshot and
started again, after a gap of STOPPED_AFTER. No witness of ours knows more than the database does; the provider, which
was not put back, knows all. So the start has to ask it, find that it has more, and hold before anything leaves. Then an
operator releases, clients go on all the time, and in the end everything that the provider has is in the database, once,
with the status that the provider gives it: each report came once, and some came in the time that is forgotten.

Single sends that were answered 202 in that time and had not reached the provider are known to nobody: `forgotten`.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
from django.db import connection

from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns.models import Campaign
from messaging.restore import detection, recovery
from smsapp.demo.display import say
from tests.chaos.answers import Request, Told
from tests.chaos.clients import PATIENCE, SINGLE_TEXT, Line, Record
from tests.chaos.evidence import is_settled, judge, unsettled
from tests.chaos.kills import callers
from tests.chaos.machine import LOG_LAG, STOPPED_AFTER, Machine
from tests.chaos.oracle import Entry, Finding
from tests.chaos.patience import patiently
from tests.chaos.play import LOOK, Overdue, phones, send, tell
from tests.chaos.stand import CALM
from tests.data.make_customers import number

#: Some calls and answers are lost, so that outcomes are unknown at either moment, and the log lags.
FAULTS = CALM | {
    "error_500": 0.03,
    "accept_reset": 0.05,
    "accept_500": 0.03,
    "report_repeat": 0.1,
    "report_reorder": 0.2,
    "log_lag": LOG_LAG,
}
SNAPSHOT_AT, LOST = (0.2, 0.45), (0.2, 0.4)  # shares of the messages, handed over before the snapshot and after it
SINGLES_LOST = 4  # answers at least, in the time that is forgotten
SINGLES_EVERY = 0.4  # seconds
MORE_SINGLES = 2.0  # seconds after the release


class Singles:
    """A customer's program that sends single messages, whatever becomes of the machine, and never asks twice."""

    def __init__(self, machine: Machine, seed: int, first: int) -> None:
        self._machine, self._seed, self._first = machine, seed, first
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self.record = Record()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE)

    @property
    def count(self) -> int:
        """Answers by now, or the lack of them."""
        return len(self.record.requests)

    def _run(self) -> None:
        demo = self._machine.credentials()
        options = {"headers": {"X-API-Key": demo["api_key"]}, "timeout": PATIENCE, "trust_env": False}
        place = self._first
        while not self._stopping.wait(SINGLES_EVERY):
            with httpx2.Client(base_url=f"{self._machine.url}/api/v1", **options) as connection:
                line = Line(connection, demo["sender_id"], self.record, random.Random(self._seed), None)
                line.send("/sms/send", ["".join(number(place, self._seed))], message=SINGLE_TEXT)
            place += 1


class RollbackRun:
    def __init__(self, machine: Machine, messages: int, seed: int, seconds: float) -> None:
        self.machine, self.messages, self.seed = machine, messages, seed
        self.deadline = time.monotonic() + seconds
        chance = random.Random(f"rollback:{seed}")
        self.snapshot_at = int(messages * chance.uniform(*SNAPSHOT_AT))
        self.rollback_at = self.snapshot_at + int(messages * chance.uniform(*LOST))
        self.recipients = phones(messages, seed)
        self.accepted: dict[str, int] = {}
        self.sign = ""
        self.recovery: float | None = None
        self.known = self.lost = self.cut = 0
        self.findings: list[Finding] = []
        self.outcome: dict[str, Any] = {}

    def play(self) -> bool:
        """Leaves `outcome`; True if the machine noticed, and nothing was lost, doubled or mis-stated."""
        self.machine.start()
        self.machine.set_faults(FAULTS)
        self._wait_for("the first sign of life", lambda: detection.last_mark() is not None)
        self.campaign = send(self.machine, self.recipients, self.deadline)
        self.singles = Singles(self.machine, self.seed, first=self.messages)
        self.singles.start()
        try:
            self._lose_time()
            self._notice()
            self._recover()
        except Overdue as error:
            say(f"OVERDUE: {error}")
        self.singles.stop()
        self.machine.stop()
        return self._conclude()

    def _lose_time(self) -> None:
        self._wait_for("the snapshot's moment", lambda: self._handed_over() >= self.snapshot_at and self._is_made())
        self.known = self.singles.count
        mark = self._read(detection.last_mark)
        self.machine.take_snapshot()
        self._note("at_snapshot")
        enough = self.known + SINGLES_LOST
        self._wait_for("the end", lambda: self._handed_over() >= self.rollback_at and self.singles.count >= enough)
        self.cut = len(callers(self.machine.supervisor))
        connection.close()
        killed = self.machine.pull_plug()
        say(f"{killed} processes killed at once, with {self.cut} calls open.")
        self.machine.put_back()
        time.sleep(max(0.0, mark.at.timestamp() + STOPPED_AFTER - time.time()))
        self.lost = self.singles.count
        self._note("at_rollback")

    def _notice(self) -> None:
        """Started again, it holds as a copy, or sends on as if nothing had been."""
        self.machine.start()
        before = self.accepted["at_rollback"]
        self._wait_for("a hold", lambda: self._is_held() or self.machine.accepted > before)
        if self.sign:
            say(f"Held: {self.sign}")
        self._note("at_hold")
        if (more := self.accepted["at_hold"] - self.accepted["at_rollback"]) > 0:
            self.findings.append(Finding(f"{more} messages left before the provider was asked"))

    def _recover(self) -> None:
        started = time.monotonic()
        if self.sign:
            self.machine.release()
        self._wait_until(time.monotonic() + MORE_SINGLES)
        self.singles.stop()
        self._wait_for("everything to be settled", is_settled)
        self.recovery = round(time.monotonic() - started, 1)

    def _conclude(self) -> bool:
        ledger = self.machine.ledger()
        in_lost_time = self.singles.record.requests[self.known : self.lost]
        forgotten = [request for request in in_lost_time if is_forgotten(request, ledger.entries)]
        requests = [request for request in self.singles.record.requests if request not in forgotten]
        verdict = judge(self.recipients, requests, ledger)
        verdict.misstated += self.findings
        tell(verdict)
        self.outcome = {
            "messages": self.messages,
            "kills": 1,
            "kills_in_call": self.cut,
            "faults": self.machine.fired(),
            "singles": len(requests),
            "forgotten": len(forgotten),
            **self.accepted,
            "held": bool(self.sign),
            "sign": self.sign,
            "recovered": recovery.REPORT.get().count,
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "misstated": len(verdict.misstated),
            "unconfirmed": verdict.unconfirmed,
            "recovery_s": self.recovery,
            "seed": self.seed,
            "database": "postgres" if self.machine.is_on_postgresql else "sqlite",
        }
        return verdict.is_good and bool(self.sign) and self.recovery is not None and not verdict.unconfirmed

    # --- looks --------------------------------------------------------------------------------------------

    def _note(self, moment: str) -> None:
        """How many messages the provider has."""
        self.accepted[moment] = self.machine.accepted
        say(f"{moment.replace('_', ' ')}: the provider has {self.accepted[moment]} messages")

    def _is_made(self) -> bool:
        """Whether all recipients are stored: else the campaign would wait for an operator's decision."""
        return self.campaign.chunks_done == self.campaign.chunk_count

    def _is_held(self) -> bool:
        held = sending_hold.current()
        if held is None or held.kind is not HoldKind.COPY:
            return False
        self.sign = held.detail
        return True

    def _handed_over(self) -> int:
        self.campaign = Campaign.objects.get(pk=self.campaign.pk)
        return self.campaign.total_recipients - self.campaign.waiting - self.campaign.queued

    def _wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        while not self._read(condition):
            if time.monotonic() > self.deadline:
                raise Overdue(f"waited for {what}\n    {self._read(unsettled)}")
            self._wait_until(time.monotonic() + LOOK)

    def _wait_until(self, moment: float) -> None:
        while True:
            self.machine.supervisor.watch()
            time.sleep(LOOK)
            if time.monotonic() >= moment:
                return

    def _read(self, act: Callable[[], Any]) -> Any:
        return patiently(self.machine.supervisor, act)


def is_forgotten(request: Request, entries: list[Entry]) -> bool:
    """Of one that was answered in the lost time: whether the provider did not get it. Pure."""
    taken = {entry.message_id for entry in entries if entry.times_accepted}
    return request.told is Told.ACCEPTED and taken.isdisjoint(request.ids.values())
