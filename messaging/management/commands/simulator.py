"""The simulator as a process of its own. It touches neither database nor broker."""

import asyncio
import gc
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from messaging.simulator.options import Options
from messaging.simulator.server import Simulator


class Command(BaseCommand):
    help = "Serve Infobip's SMS API on this machine: no SMS is sent, outcomes are simulated, faults on request."
    requires_system_checks: list[str] = []  # it must run beside an installation that is broken
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        default = Options()
        parser.add_argument("--port", type=int, default=settings.SIMULATOR_PORT, help="0 for any free one")
        parser.add_argument("--host", default=default.host)
        parser.add_argument("--api-key", default=settings.SIMULATOR_API_KEY)
        parser.add_argument("--seed", type=int, default=default.seed, help="of outcomes and faults")
        parser.add_argument("--ledger", type=Path, help="file of accepted calls, read at start; none: memory only")
        parser.add_argument("--latency-ms", type=float, default=20.0, help="before every answer to a send")
        parser.add_argument("--report-delay-ms", type=float, default=500.0, help="from acceptance to the outcome")
        parser.add_argument("--bucket", type=int, default=default.bucket, help="results in one push, 1 to 2000")
        parser.add_argument("--balance", type=float, default=default.balance, help="credit, in EUR")
        parser.add_argument("--time-scale", type=float, default=default.time_scale, help="of waits between pushes")
        parser.add_argument("--undelivered", type=float, default=default.undelivered, help="share of numbers")
        parser.add_argument("--rejected", type=float, default=default.rejected, help="share of numbers")
        parser.add_argument("--silent", type=float, default=default.silent, help="share that never gets a report")
        parser.add_argument("--keep-text", action="store_true", help="keep texts in memory, to be read back")
        parser.add_argument("--allow-push-host", action="append", default=[], help="may be given several times")
        parser.add_argument(
            "--fault", action="append", default=[], metavar="NAME=NUMBER", help="see GET /simulator/faults"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            simulator = Simulator(options_from(options))
            asyncio.run(self._serve(simulator))
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error

    async def _serve(self, simulator: Simulator) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await simulator.start()
        gc.freeze()  # what Django loaded stays: reading a large call would have it searched again and again
        self.stdout.write(f"simulator ready at {simulator.url}")
        self.stdout.flush()
        await stopping.wait()
        await simulator.stop()


def options_from(given: dict[str, Any]) -> Options:
    """Raises ValueError for what is out of range or unknown."""
    faults = {"latency_ms": given["latency_ms"], "report_delay_ms": given["report_delay_ms"]}
    for pair in given["fault"]:
        name, equals, number = pair.partition("=")
        if not equals:
            raise ValueError(f"--fault wants NAME=NUMBER, not {pair!r}")
        faults[name] = float(number)
    return Options(
        host=given["host"],
        port=given["port"],
        api_key=given["api_key"],
        seed=given["seed"],
        ledger=given["ledger"],
        bucket=given["bucket"],
        balance=given["balance"],
        time_scale=given["time_scale"],
        undelivered=given["undelivered"],
        rejected=given["rejected"],
        silent=given["silent"],
        keep_text=given["keep_text"],
        push_hosts=frozenset(given["allow_push_host"]),
        faults=faults,
    )
