"""Two providers of different kinds that share the messages, of which one dies half-way: GATEWAYS=infobip,twilio."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx2
from django.db.models import Count

from messaging.choices import GatewayKind
from messaging.models import Attempt, Batch
from smsapp.demo.scratch import Scratch
from smsapp.runtime import programs
from smsapp.runtime.supervisor import Program, Supervisor, free_port
from tests.chaos.ledger import Ledger, read_ledger
from tests.chaos.oracle import Entry
from tests.chaos.stand import SILENT, Stand, simulator_key

HALF = 0.5  # of the messages are handed over when the second provider dies
SECOND = "twilio-simulator"
#: Its ledger is read from its file, which does not say what was contradicted.
NOT_OF_SECOND = ("report_conflict",)


class TwoRoads(Stand):
    """Both speak to simulators of the run's own."""

    def __init__(self, supervisor: Supervisor, own: Scratch, **options: Any) -> None:
        super().__init__(supervisor, own, **options)
        self.second_port = free_port()
        self.second_url = f"http://127.0.0.1:{self.second_port}"
        self.second_ledger = own.folder.resolve() / "ledger-twilio.jsonl"
        self.is_second_alive = True
        self.second_fired: dict[str, int] = {}

    def make_roads(self) -> None:
        super().make_roads()
        self.make_road(GatewayKind.TWILIO)

    def come_to(self, share: float) -> None:
        if share >= HALF and self.is_second_alive:
            self.second_fired = self._ask_second("GET", "faults")["fired"]
            self.supervisor.stop(SECOND)
            self.is_second_alive = False

    def set_faults(self, values: Mapping[str, float]) -> None:
        super().set_faults(values)
        if self.is_second_alive:
            own = {name: value for name, value in values.items() if name not in NOT_OF_SECOND}
            self._ask_second("PUT", "faults", json=own)

    def fired(self) -> dict[str, int]:
        return dict(Counter(super().fired()) + Counter(self.second_fired))

    def ledger(self) -> Ledger:
        first, second = super().ledger(), read_ledger(self.second_ledger)
        return Ledger(summed([*first.entries, *second.entries]), first.calls | second.calls)

    def outcome(self) -> dict[str, Any]:
        calls = Attempt.objects.order_by().values_list("gateway").annotate(calls=Count("pk"))
        return {
            "calls_by_gateway": dict(calls),
            "batches_moved": Batch.objects.filter(was_moved=True).count(),
            "second_accepted": sum(entry.times_accepted for entry in read_ledger(self.second_ledger).entries),
            "second_died": not self.is_second_alive,
        }

    def _foundations(self, env: programs.Environment) -> list[Program]:
        second = programs.simulator(env, self.second_port, self.second_ledger, "--silent", f"{SILENT:g}")
        return [*super()._foundations(env), replace(second, name=SECOND)]

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {
            "TWILIO_BASE_URL": self.second_url,
            "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
            "TWILIO_AUTH_TOKEN": simulator_key(),
        }

    def _ask_second(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        url = f"{self.second_url}/simulator/{path}"
        answer = httpx2.request(method, url, timeout=60, trust_env=False, **content).raise_for_status()
        values: dict[str, Any] = answer.json()
        return values


def summed(entries: Sequence[Entry]) -> list[Entry]:
    """One entry for each id, however many ledgers it stands in: what was accepted in two was accepted twice. Pure."""
    found: dict[str, Entry] = {}
    for entry in entries:
        other = found.get(entry.message_id)
        if other is None:
            found[entry.message_id] = entry
            continue
        telling = entry if entry.times_accepted else other
        found[entry.message_id] = telling._replace(
            times_accepted=entry.times_accepted + other.times_accepted,
            is_reported=entry.is_reported or other.is_reported,
            is_contradicted=entry.is_contradicted or other.is_contradicted,
        )
    return list(found.values())
