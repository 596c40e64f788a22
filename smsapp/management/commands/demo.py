"""`make demo`: the main job from end to end on processes of its own (`smsapp/demo/play.py`)."""

import os
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from smsapp.demo.client import DemoFailed
from smsapp.demo.play import SAMPLE_ROWS, Demonstration
from smsapp.demo.scratch import scratch
from smsapp.lib.digits import whole_number
from smsapp.runtime.supervisor import ProcessError, StopRequested, Supervisor, into_folder


class Command(BaseCommand):
    help = "Uploads a file, sends a campaign through the simulator, shows the outcome and checks it; leaves nothing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        number = {"type": int, "metavar": "N"}
        parser.add_argument("--rows", default=_number("ROWS", SAMPLE_ROWS), help="rows of the file (ROWS)", **number)  # type: ignore[arg-type]
        parser.add_argument("--workers", default=_number("WORKERS", 1), help="copies of each worker", **number)  # type: ignore[arg-type]
        parser.add_argument("--timeout", type=float, help="seconds for reading and sending; default by rows")
        parser.add_argument(
            "--keep", action="store_true", default=os.environ.get("KEEP", "") not in ("", "0"), help="the logs (KEEP=1)"
        )

    def handle(self, *args: Any, rows: int, workers: int, timeout: float | None, keep: bool, **options: Any) -> None:
        if rows < 1 or workers < 1:
            raise CommandError("ROWS and WORKERS must be 1 or more.")
        seconds = timeout or 120 + rows / 100
        urls = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
        logs: Path | None = None
        try:
            with scratch(settings.VAR_DIR, *urls, keep=keep) as own:
                logs = own.folder / "logs"
                if keep:
                    (own.folder / "kept").touch()
                with Supervisor(into_folder(logs)) as supervisor:
                    try:
                        ok = Demonstration(supervisor, own, rows, workers).play(seconds)
                    except (ProcessError, DemoFailed):
                        logs = _saved(logs)
                        raise
        except StopRequested:
            self.stderr.write("Stopped; nothing is left running.")
            sys.exit(130)
        except (ProcessError, DemoFailed) as error:
            raise CommandError(f"{error}\nLogs of its processes: {logs}") from error
        sys.exit(0 if ok else 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    number = whole_number(text)
    if number is None:
        raise CommandError(f"{name} must be a whole number, not {text!r}.")
    return number


def _saved(logs: Path) -> Path:
    """The logs of a demonstration that failed, where its own clearing up does not reach them."""
    target = logs.parent.parent / "failed-demo"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(logs, target)
    return target
