"""The installation that is measured: that of the demonstration, on a PostgreSQL and a broker of its own."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import redis
from django.conf import settings

from smsapp.celery import app as celery_app
from smsapp.demo.client import Client, ledger_of
from smsapp.demo.play import Demonstration
from smsapp.demo.scratch import Scratch
from smsapp.management.commands.demo_account import read_credentials
from smsapp.runtime import programs
from smsapp.runtime.supervisor import Child, ProcessError, Program, Supervisor, free_port
from tests.benchmarks.customers import write_customers
from tests.benchmarks.options import Options
from tests.benchmarks.processes import Memory
from tests.benchmarks.servers import POSTGRESQL

LATENCY_MS = 50
HELD_BACK_MS = 3_600_000  # reports come when they are asked for
LOOK = 0.02  # seconds between two looks at something that is waited for
LOOK_AT_MEMORY = 0.25
#: The programs that are the product, with those whose names begin with "worker". The simulator is the provider.
PRODUCT = frozenset({"postgres", "broker", "web", "beat"})


def is_product(program: str) -> bool:
    return program in PRODUCT or program.startswith("worker")


class Stand(Demonstration):
    def __init__(self, supervisor: Supervisor, own: Scratch, options: Options) -> None:
        super().__init__(supervisor, own, options.rows, options.workers)
        self.options, self.memory = options, Memory()
        self.provider_port, self.stub_port = free_port(), free_port()
        self._looked = 0.0

    def start(self) -> None:
        self._start()
        self.supervisor.start_ready(*self._beside(self._environment()))
        celery_app.conf.broker_url = self.redis_url

    @property
    def redis_url(self) -> str:
        return programs.embedded_redis_url(self.broker_port)

    def client(self) -> Client:
        key = self.credentials()["api_key"]
        return Client(self.url, key, time.monotonic() + self.options.seconds)

    def credentials(self) -> dict[str, Any]:
        return read_credentials(self.own.folder / "demo.json")

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.own.database_url, autocommit=True)

    def make_database(self, name: str) -> str:
        """URL of an empty one on the same server."""
        self.drop_database(name)
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.own.database_url.rpartition('/')[0]}/{name}"

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, module: str, *arguments: str, **env: str) -> dict[str, Any]:
        """A program that does its work and prints JSON as its last line."""
        command = [sys.executable, "-m", module, *arguments]
        child = self.supervisor.start(Program(module, command, {**os.environ, **env}, cwd=programs.ROOT))
        self.supervisor.finish(child, self.options.seconds)
        said: dict[str, Any] = json.loads(child.tail[-1])
        return said

    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.redis_url)

    def file_of(self, rows: int) -> Path:
        """Customers as `tests/data/make_customers.py` invents them; made once for each size."""
        path = self.own.folder / f"customers-{rows}.csv"
        if not path.exists():
            write_customers(path, rows)
        return path

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it; a ProcessError, with what is wrong, after `options.seconds`, or if a program has ended."""
        deadline = time.monotonic() + self.options.seconds
        while not condition():
            now = time.monotonic()
            if now > deadline:
                raise ProcessError(f"After {self.options.seconds:g} s: {what}")
            if now - self._looked > LOOK_AT_MEMORY:
                self._looked = now
                self.look_at_memory()
                self.supervisor.watch()
            time.sleep(LOOK)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it came about in that time."""
        deadline = time.monotonic() + seconds
        while not (is_so := condition()) and time.monotonic() < deadline:
            time.sleep(5 * LOOK)
        return is_so

    def look_at_memory(self) -> None:
        self.memory.look(self.product())

    def product(self) -> dict[str, Child]:
        return {name: child for name, child in self.supervisor.children.items() if is_product(name)}

    def delay_reports(self, milliseconds: float) -> None:
        self._ask_simulator("PUT", "faults", json={"latency_ms": LATENCY_MS, "report_delay_ms": milliseconds})

    def push_reports(self) -> None:
        self._ask_simulator("POST", "flush")

    def ledger(self) -> dict[str, int]:
        return ledger_of(self.simulator_url)

    def ledger_path(self) -> Path:
        return self.own.folder.resolve() / "ledger.jsonl"

    def _ask_simulator(self, method: str, path: str, **content: Any) -> None:
        url = f"{self.simulator_url}/simulator/{path}"
        timeout = self.options.seconds
        httpx2.request(method, url, timeout=timeout, trust_env=False, **content).raise_for_status()

    def _foundations(self, env: programs.Environment) -> list[Program]:
        simulator = programs.simulator(env, self.simulator_port, self.ledger_path(), *self._simulator_options())
        return [programs.broker(env, self.broker_port), simulator]

    def _beside(self, env: programs.Environment) -> list[Program]:
        """A second simulator and a stub, of which the product knows nothing."""
        ledger = self.own.folder.resolve() / "provider.jsonl"
        second = programs.simulator(env, self.provider_port, ledger, *self._simulator_options())
        stub = [sys.executable, "-m", "tests.benchmarks.stub", str(self.stub_port), str(LATENCY_MS / 1000)]
        url = f"http://127.0.0.1:{self.stub_port}/"
        return [
            Program("provider", second.command, env, ready=second.ready, cwd=programs.ROOT),
            Program("stub", stub, env, ready=lambda: programs.answers(url), cwd=programs.ROOT),
        ]

    def _simulator_options(self) -> tuple[str, ...]:
        latency = ("--latency-ms", f"{LATENCY_MS}", "--report-delay-ms", f"{HELD_BACK_MS}")
        return (*latency, "--bucket", str(self.options.bucket), "--balance", "1e9")

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"LOG_LEVEL": "WARNING"}


def versions(stand: Stand) -> str:
    """The servers that were measured."""
    with stand.connect() as connection:
        database = connection.info.server_version
    with stand.redis() as client:
        info = client.info("server")
    broker = f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}"
    return (
        f"PostgreSQL {database // 10000}.{database % 10000} ({', '.join(POSTGRESQL)}), {broker}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, batches of {settings.BATCH_SIZE}"
    )
