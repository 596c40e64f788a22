"""How fast the API answers: programs that call it as fast as they are answered, on connections that they keep.

A database of its own on the run's server, and a web server of its own with as many processes and threads as an
installation has. Web server, PostgreSQL and broker share two cores where the machine has more for the callers. Rate
limits are out of the way. Nothing sends meanwhile (that is `singles`): what is accepted waits.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

from smsapp.runtime import programs
from smsapp.runtime.supervisor import Child, free_port
from tests.benchmarks.calls import CALLS
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.processes import Seconds, cpu_seconds, difference, pin
from tests.benchmarks.stand import Stand

PART = "api"
DATABASE = WEB = "api"
CORES = 2
FREE_CORES = 2  # for the callers and whatever else runs
UNLIMITED = dict.fromkeys(("API_RATE_KEY", "API_RATE_USER", "API_RATE_ACCOUNT", "API_RATE_ADDRESS"), "1000000000")
#: The calls that have to reach what an installation of two cores is meant for.
GOAL = ("send", "send with Idempotency-Key")


@dataclass(frozen=True)
class Called:
    """One kind of call. `cpu_ms` of one call, by program; `statements` that one sends to the database."""

    name: str
    per_second: float
    milliseconds: list[float]
    cpu_ms: dict[str, float]
    statements: int

    def figures(self) -> list[Figure]:
        has_goal = self.name in GOAL
        p50, p95, p99 = (percentile(self.milliseconds, percent) for percent in (50, 95, 99))
        return [
            Figure(PART, f"{self.name}: calls", self.per_second, "/s", at_least=200 if has_goal else None),
            Figure(PART, f"{self.name}: p50", p50, "ms"),
            Figure(PART, f"{self.name}: p95", p95, "ms", at_most=50 if has_goal else None),
            Figure(PART, f"{self.name}: p99", p99, "ms"),
            *(Figure(PART, f"{self.name}: CPU, {program}", ms, "ms") for program, ms in self.cpu_ms.items()),
            Figure(PART, f"{self.name}: statements", self.statements),
        ]


@dataclass(frozen=True)
class Api:
    """`cores`: how many web server, PostgreSQL and broker had."""

    clients: int
    cores: int
    calls: list[Called]

    @property
    def line(self) -> dict[str, float]:
        send = self.calls[0]
        return {"api_send_per_s": send.per_second, "api_send_p95_ms": percentile(send.milliseconds, 95)}

    def figures(self) -> list[Figure]:
        about = [Figure(PART, "clients", self.clients), Figure(PART, "cores of the servers", self.cores)]
        return [*about, *(figure for one in self.calls for figure in one.figures())]


def measure(stand: Stand) -> Api:
    own = {"DATABASE_URL": stand.make_database(DATABASE), "REDIS_URL": stand.redis_url, "REDIS_KEY_PREFIX": DATABASE}
    env = {**os.environ, **own, "CELERY_BROKER_URL": stand.redis_url, "ALLOWED_HOSTS": "127.0.0.1", **UNLIMITED}
    account = stand.run("tests.benchmarks.api_account", **env)
    port = free_port()
    web = replace(programs.web(env, "127.0.0.1", port), name=WEB)
    stand.supervisor.start_ready(web)
    servers = {name: stand.supervisor.children[name] for name in (WEB, "postgres", "broker")}
    every = sorted(os.sched_getaffinity(0))
    own_cores = every[:CORES] if len(every) >= CORES + FREE_CORES else every
    pin(servers, own_cores)
    try:
        calls = [_called(stand, name, f"http://127.0.0.1:{port}", account, servers) for name in CALLS]
    finally:
        pin(servers, every)
        stand.supervisor.stop(WEB)
    stand.drop_database(DATABASE)
    return Api(stand.options.clients, len(own_cores), calls)


def _called(stand: Stand, name: str, url: str, account: dict[str, Any], servers: dict[str, Child]) -> Called:
    options = stand.options
    before = cpu_seconds(servers)
    said = stand.run(
        "tests.benchmarks.callers", url, account["api_key"], name, str(options.calls), str(options.clients)
    )
    cpu: Seconds = difference(before, cpu_seconds(servers))
    times = said["milliseconds"]
    return Called(
        name=name,
        per_second=len(times) / said["seconds"],
        milliseconds=times,
        cpu_ms={program: 1000 * seconds / said["made"] for program, seconds in cpu.items()},
        statements=account["statements"][name],
    )
