"""A batch that is the death of whatever process takes it, among others that are well.

From outside: a trigger in the run's database refuses the attempt of that one batch, so that its lease goes on without
a result, and the harness kills whoever holds the lease. After MAX_LEASES of them the batch is given up as poison.
"""

import contextlib
import os
import signal
import time
from typing import Any

from django.db import connection

from campaigns.models import Campaign
from messaging.choices import BatchState, Reason
from messaging.models import Attempt, Batch, Message
from smsapp.core.enqueue import enqueue
from smsapp.demo.display import say
from smsapp.demo.scratch import Scratch
from smsapp.runtime.supervisor import Supervisor
from tests.chaos.evidence import is_settled, judge, unsettled
from tests.chaos.kills import process_of
from tests.chaos.ledger import ask_for_ledger
from tests.chaos.patience import LOOK
from tests.chaos.plan import Target
from tests.chaos.play import phones, send, tell
from tests.chaos.stand import CALM, Stand

MAX_LEASES = 5
PART = 1  # its place among the batches of the first chunk: not the first, not the last
TIMERS = {"MAX_LEASES": f"{MAX_LEASES}", "LEASE_SECONDS": "3", "GATEWAY_TIMEOUT": "1.5"}
SWEEP_EVERY = 0.5  # seconds; beat's interval is not what is tried here
IS_POISON = f"(SELECT part FROM {Batch._meta.db_table} WHERE id = NEW.batch_id) = {PART}"
TRIGGERS = {
    "sqlite": (
        f"CREATE TRIGGER poison BEFORE INSERT ON {Attempt._meta.db_table} WHEN {IS_POISON} "
        "BEGIN SELECT RAISE(ABORT, 'poison'); END",
    ),
    "postgresql": (
        f"CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {IS_POISON} THEN RAISE 'poison'; END IF; RETURN NEW; END $$",
        f"CREATE TRIGGER poison BEFORE INSERT ON {Attempt._meta.db_table} FOR EACH ROW EXECUTE FUNCTION poison()",
    ),
}


class PoisonRun:
    """`messages`: enough for three batches."""

    def __init__(self, supervisor: Supervisor, own: Scratch, messages: int, seed: int, seconds: float) -> None:
        self.stand = Stand(supervisor, own, timers=TIMERS)
        self.seed, self.deadline = seed, time.monotonic() + seconds
        self.recipients = phones(messages, seed)
        self.outcome: dict[str, Any] = {}

    def play(self) -> bool:
        """Leaves `outcome`; True if that batch ended as poison, at the price of its leases, and no other was harmed."""
        self.stand.start()
        self.stand.set_faults(CALM)
        with connection.cursor() as cursor:
            for statement in TRIGGERS[connection.vendor]:
                cursor.execute(statement)
        campaign = send(self.stand, self.recipients, self.deadline)
        deaths = self._kill_takers(campaign)
        self.stand.stop()
        batch = Batch.objects.get(campaign=campaign, chunk=0, part=PART)
        verdict = judge(self.recipients, [], ask_for_ledger(self.stand.simulator_url), poisoned=[batch.pk])
        tell(verdict)
        poisoned = Message.objects.in_batch(batch.pk).filter(reason=Reason.POISON).count()
        self.outcome = {
            "messages": len(self.recipients),
            "kills": deaths,
            "kills_in_call": 0,
            "struck": {Target.POISON: deaths},
            "faults": self.stand.fired(),
            "leases": batch.lease_epoch,
            "poisoned": poisoned,
            "of": batch.size,
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "misstated": len(verdict.misstated),
            "unconfirmed": verdict.unconfirmed,
            "recovery_s": None,
            "seed": self.seed,
        }
        return verdict.is_good and poisoned == batch.size and deaths <= MAX_LEASES

    def _kill_takers(self, campaign: Campaign) -> int:
        """Until everything is settled, or time is over; how many processes were killed."""
        taken: set[int] = set()
        next_sweep = 0.0
        while not is_settled() and time.monotonic() < self.deadline:
            leased = Batch.objects.filter(campaign=campaign, chunk=0, part=PART, state=BatchState.LEASED)
            for batch in leased.exclude(lease_epoch__in=taken):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process_of(batch.lease_owner), signal.SIGKILL)
                taken.add(batch.lease_epoch)
                say(f"Batch {batch.pk} has killed the process that took it, {len(taken)} times by now.")
            if time.monotonic() > next_sweep:
                enqueue("messaging.sweep")
                next_sweep = time.monotonic() + SWEEP_EVERY
            self.stand.supervisor.watch()
            time.sleep(LOOK)
        if not is_settled():
            say(f"OVERDUE: {unsettled()}")
        return len(taken)
