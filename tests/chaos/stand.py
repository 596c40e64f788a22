"""The installation under attack: that of the demonstration, with small batches, a slow gateway and short timers."""

import os
from collections.abc import Mapping
from typing import Any

import httpx2

from messaging.choices import GatewayKind
from messaging.models import Gateway, Route
from smsapp.celery import app as celery_app
from smsapp.demo.play import Demonstration
from smsapp.demo.scratch import Scratch, delete_keys
from smsapp.management.commands.demo_account import read_credentials
from smsapp.runtime import programs
from smsapp.runtime.supervisor import Program, Supervisor
from tests.chaos.hanging import HangingProvider
from tests.chaos.ledger import Ledger, ask_for_ledger
from tests.chaos.outages import ON_POSTGRESQL, ON_SQLITE, cut_connections, fill_disk, make_read_only
from tests.chaos.patience import patiently
from tests.chaos.plan import LATENCY, Event, Target

LEASE = 4.0  # seconds, as are all times here
SWEEP = 5.0  # beat's interval
REPORT_DEADLINE = 18.0
BATCH_SIZE = 20
CALL_SIZE = 7  # messages at most: a batch is several calls
TIMERS: dict[str, str] = {
    "BATCH_SIZE": f"{BATCH_SIZE}",
    "BREAKER_COOL_DOWN": "1",
    "CHUNK_SIZE": "200",
    "GATEWAY_CALLS_IN_FLIGHT": "2",
    "GATEWAY_CONNECT_TIMEOUT": "1",
    "GATEWAY_TIMEOUT": "2",
    "GATEWAYS_READ_EVERY": "1",
    "LEASE_SECONDS": f"{LEASE:g}",
    "LEASE_MARGIN": "0.5",
    "MAX_LEASES": "100",  # here it is never the batch that kills its worker
    "LOG_LEVEL": "INFO",
    "REPORT_CHECK_AFTER": "12",
    "REPORT_DEADLINE_HOURS": f"{REPORT_DEADLINE / 3600:.8f}",
    "RETRY_BACKOFF": "0.2",
    "RETRY_BACKOFF_MAX": "2",
    "UNKNOWN_CLOSE_AFTER": "25",
    "UNKNOWN_GRACE": "1",
}
#: Where the provider is a simulator. What a server that is not ours does not know is not sent again.
TIMERS_AT_HOME: dict[str, str] = {"LOOKUPS_PER_MINUTE": "6000", "RESEND_UNKNOWN_AFTER": "3"}
#: Longer than a lease and its sweep: a report that came sooner would clear up what the pipeline has to clear up.
REPORT_DELAY = LEASE + SWEEP
CALLS_FOR_A_KILL = 25
LOG_LAG = 1.0  # below the time after which absence in the log is proof
SILENT = 0.01  # share of the numbers on which no final report ever comes
CALM: dict[str, float] = {"refuse_repeated": 0, "latency_ms": 1000 * LATENCY, "report_delay_ms": 500, "log_lag": 0}
#: Probabilities in a long campaign; of a call unless it is said otherwise in the simulator.
IN_CALLS: dict[str, float] = {
    "reset_before": 0.01,
    "hang_before": 0.01,
    "redirect_307": 0.005,
    "throttle": 0.003,  # each lowers our pace: many of them are a slow campaign
    "throttle_with_retry_after": 0.003,
    "error_500": 0.02,
    "unavailable_503": 0.02,
    "accept_reset": 0.03,
    "accept_hang": 0.02,
    "accept_500": 0.02,
    "truncated_json": 0.02,
    "cut_body": 0.01,
    "html_200": 0.01,
    "slow_drip": 0.005,
    "omit_ids": 0.001,
    "refuse_message": 0.002,
}
ALWAYS: dict[str, float] = {
    "reorder_answer": 0.2,
    "log_outage": 0.1,
    "report_never": 0.01,
    "report_repeat": 0.1,
    "report_reorder": 0.2,
    "report_early": 0.1,
    "report_singly": 0.3,
    "report_conflict": 0.02,
    "report_unknown_id": 0.05,
}
SLOW: dict[str, float] = {
    "report_delay_ms": 1000 * REPORT_DELAY,
    "log_lag": LOG_LAG,
    "hang_seconds": 2.5,  # a little longer than the client waits
    "retry_after": 1,
}


def call_size(messages: int, kills: int) -> int:
    """So small that the campaign lasts as long as the kills, of which each takes a second or two."""
    return max(4, min(CALL_SIZE, messages // (CALLS_FOR_A_KILL * kills)))


def misbehaviour(calls: int) -> dict[str, float]:
    """What the simulator does wrong: in a short campaign more often, so that it meets some of everything."""
    factor = min(1.5, max(1.0, 100 / calls))
    return CALM | SLOW | ALWAYS | {name: factor * share for name, share in IN_CALLS.items()}


class Stand(Demonstration):
    """`gateway_url`: a server of somebody else's that speaks the provider's API, instead of a simulator of the run's
    own; its faults are its own business then. `timers`: what is other than in TIMERS. Beside it stands a provider that
    hangs."""

    silent = SILENT

    def __init__(
        self,
        supervisor: Supervisor,
        own: Scratch,
        gateway_url: str = "",
        timers: Mapping[str, str] | None = None,
        call_size: int = CALL_SIZE,
    ) -> None:
        super().__init__(supervisor, own, rows=0, copies=1)
        self.gateway_url, self.call_size = gateway_url, call_size
        self.timers = TIMERS | ({} if gateway_url else TIMERS_AT_HOME) | (timers or {})
        self.hanging = HangingProvider()

    def start(self) -> None:
        self._start()
        patiently(self.supervisor, self.make_roads)
        # The harness is a door too: what it does to a campaign wakes the workers of this installation.
        celery_app.conf.broker_url = self.redis_url

    def make_roads(self) -> None:
        """Done once however often it is asked for."""
        self.make_road(GatewayKind.INFOBIP, max_batch=self.call_size)
        self.hanging.make_road()

    def make_road(self, kind: GatewayKind, **values: int) -> None:
        """A gateway of the environment's that takes messages to everywhere."""
        row, _ = Gateway.objects.update_or_create(
            name=kind.value, defaults={"kind": kind, "is_enabled": True, **values}
        )
        Route.objects.get_or_create(gateway=row, prefix="")

    def credentials(self) -> dict[str, Any]:
        return read_credentials(self.own.folder / "demo.json")

    @property
    def redis_url(self) -> str:
        return self.own.redis_url or programs.embedded_redis_url(self.broker_port)

    @property
    def targets(self) -> set[Target]:
        """What can be hit here."""
        absent = {Target.POISON}
        if self.own.redis_url:
            absent.add(Target.BROKER)
        if not self._has_own_server:
            absent.add(Target.DATABASE)
        if not self.is_on_postgresql:
            absent.add(Target.CONNECTIONS)
        return set(Target) - absent - {Target.SUPERVISOR}

    def kill_supervisor(self, event: Event) -> str:
        """What was done, in words; where the harness itself runs everything nothing can be."""
        return "left alone"

    @property
    def is_on_postgresql(self) -> bool:
        return self.own.database_url.startswith("postgres")

    def set_faults(self, values: Mapping[str, float]) -> None:
        if not self.gateway_url:
            self._ask_simulator("PUT", "faults", json=dict(values))

    def fired(self) -> dict[str, int]:
        """Exactly how often each fault came about; empty where nobody knows."""
        return {} if self.gateway_url else self._ask_simulator("GET", "faults")["fired"]

    def come_to(self, share: float) -> None:
        """So much of the campaign is handed over, 0 to 1."""

    def ledger(self) -> Ledger:
        """Of the run's own providers."""
        ledger = ask_for_ledger(self.simulator_url)
        return Ledger([*ledger.entries, *self.hanging.entries], ledger.calls)

    def outcome(self) -> dict[str, Any]:
        """What a run of this stand tells beside everything else."""
        return {}

    def push_reports(self) -> None:
        """Have every report that is still to come pushed now."""
        if not self.gateway_url:
            self._ask_simulator("POST", "flush")

    def cut_connections(self) -> int:
        return cut_connections(self.own.database_url)

    def forget(self) -> None:
        """The broker loses everything of this installation. Its server may hold others' keys: it is not flushed."""
        delete_keys(self.redis_url, self.own.name)

    def fill_disk(self, seconds: float) -> None:
        if self.own.server_url:
            make_read_only(self.own.server_url, self.own.database_url, seconds)
        else:
            fill_disk(self.supervisor, ON_POSTGRESQL if self._has_own_server else ON_SQLITE, seconds)

    def stop(self) -> None:
        """All that writes to the database."""
        self.hanging.stop()
        kept = ("simulator", "broker", "postgres")
        self.supervisor.stop(*(name for name in self.supervisor.children if name not in kept))

    @property
    def _has_own_server(self) -> bool:
        return "postgres" in self.supervisor.children

    def _ask_simulator(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        url = f"{self.simulator_url}/simulator/{path}"
        answer = httpx2.request(method, url, timeout=60, trust_env=False, **content).raise_for_status()
        values: dict[str, Any] = answer.json()
        return values

    def _foundations(self, env: programs.Environment) -> list[Program]:
        foundations = [] if self.own.redis_url else [programs.broker(env, self.broker_port)]
        if not self.gateway_url:
            ledger = self.own.folder.resolve() / "ledger.jsonl"
            foundations.append(programs.simulator(env, self.simulator_port, ledger, "--silent", f"{self.silent:g}"))
        return foundations

    def _environment(self) -> dict[str, str]:
        key = os.environ.get("INFOBIP_API_KEY", "") if self.gateway_url else simulator_key()
        url = self.gateway_url or self.simulator_url
        return super()._environment() | {"INFOBIP_BASE_URL": url, "INFOBIP_API_KEY": key} | self.timers


def simulator_key() -> str:
    return os.environ.get("SIMULATOR_API_KEY") or "simulator"
