"""A demonstration: processes of its own, a file through the REST API, the outcome beside the simulator's ledger."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings

from smsapp.demo.client import Client, ledger_of
from smsapp.demo.display import Progress, say, table
from smsapp.demo.figures import differences, figures
from smsapp.demo.scratch import Scratch
from smsapp.management.commands.demo_account import read_credentials
from smsapp.runtime import programs
from smsapp.runtime.supervisor import Program, Supervisor, free_port

SAMPLES = programs.ROOT / "tests" / "data"
SAMPLE_ROWS = 1000
SHOWN_ROWS = 20
TEXT = "Hi {name|there}, your order {order|from us} over {amount|0.00} EUR is on its way to {city|you}. DemoShop"
MEGABYTE = 1024 * 1024


class Demonstration:
    def __init__(self, supervisor: Supervisor, own: Scratch, rows: int, copies: int) -> None:
        self.supervisor, self.own, self.rows, self.copies = supervisor, own, rows, copies
        self.web_port, self.simulator_port, self.broker_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.web_port}"
        self.simulator_url = f"http://127.0.0.1:{self.simulator_port}"
        self.started = time.monotonic()
        self.reading_time = self.sending_time = 0.0

    def play(self, seconds: float) -> bool:
        """From the file to the JSON line; True if everything adds up and equals the ledger."""
        say("Starting broker, simulator, web server, workers and beat ...")
        self._start()
        path = self._file()
        demo = read_credentials(self.own.folder / "demo.json")
        client = Client(self.url, demo["api_key"], time.monotonic() + seconds)
        progress = Progress()
        upload = self._upload(client, progress, path)
        campaign = self._send(client, progress, upload["upload_id"], demo["sender_id"])
        refused = list(client.refused_rows(upload["upload_id"]))
        ledger = ledger_of(self.simulator_url)
        outcome = figures(upload, campaign, time.monotonic() - self.started)
        reasons = Counter(row["reason"] for row in refused)
        wrong = differences(outcome, campaign, ledger, self.rows, reasons)
        say(report(outcome, campaign, ledger, refused))
        memory = [(name, size / MEGABYTE) for name, size in self.supervisor.peak_memory().items() if size]
        say(table("Peak memory with children", ("process", "MB"), memory))
        reading, sending = self.reading_time, self.sending_time
        say(f"\nRead in {reading:.1f} s: {outcome['rows'] / reading:,.0f} rows/s. Sent, with the last delivery report")
        say(f"in, in {sending:.1f} s: {outcome['valid'] / sending:,.0f} messages/s.\n")
        for line in wrong:
            say(f"DIFFERS: {line}")
        say(json.dumps(outcome))
        return not wrong

    def _upload(self, client: Client, progress: Progress, path: Path) -> dict[str, Any]:
        began, upload = time.monotonic(), {}
        for upload in client.upload(path):
            progress.reading(upload)
            self.supervisor.watch()
        progress.close()
        self.reading_time = time.monotonic() - began
        return upload

    def _send(self, client: Client, progress: Progress, upload_id: str, sender: str) -> dict[str, Any]:
        began, campaign = time.monotonic(), {}
        bulk = client.start_campaign(name="Demo", message=TEXT, upload_id=upload_id, sender_id=sender)
        for campaign in client.campaign(bulk["bulk_id"]):
            progress.sending(campaign)
            self.supervisor.watch()
        progress.close()
        self.sending_time = time.monotonic() - began
        return campaign

    def _start(self) -> None:
        env = self._environment()
        foundations = self._foundations(env)
        arguments = ("demo_account", "--url", self.url, "--simulator-url", self.simulator_url)
        prepare = self.supervisor.start(programs.manage("prepare", env, *arguments))
        # All but beat may come up while the tables are made: nobody gives them work before.
        started = [*foundations, programs.web(env, "127.0.0.1", self.web_port), *programs.workers(env, self.copies)]
        children = [self.supervisor.start(program) for program in started]
        self.supervisor.finish(prepare, 120)
        self.supervisor.start(programs.beat(env))
        for child in children:
            child.wait_ready()

    def _foundations(self, env: programs.Environment) -> list[Program]:
        """What the others stand on."""
        ledger = self.own.folder.resolve() / "ledger.jsonl"
        simulator = programs.simulator(env, self.simulator_port, ledger, "--report-delay-ms", "1000")
        return [simulator] if self.own.redis_url else [programs.broker(env, self.broker_port), simulator]

    def _environment(self) -> dict[str, str]:
        """The children's: all of this one's, but for what would lead out of the demonstration."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("INFOBIP_", "TWILIO_")) and not name.endswith("_FILE")
        }
        redis_url = self.own.redis_url or programs.embedded_redis_url(self.broker_port)
        return kept | {
            # Set empty and not left out, or a `.env` file would fill them in again.
            **dict.fromkeys(("INFOBIP_BASE_URL", "INFOBIP_API_KEY", "INFOBIP_CALLBACK_TOKEN"), ""),
            **dict.fromkeys(("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"), ""),
            "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
            "SECRET_KEY": settings.SECRET_KEY,
            "VAR_DIR": str(self.own.folder.resolve()),
            "DATABASE_URL": self.own.database_url,
            "REDIS_KEY_PREFIX": self.own.name,
            "PORT": str(self.web_port),
            "PUBLIC_URL": "",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SIMULATOR_PORT": str(self.simulator_port),
            "SIMULATOR_URL": self.simulator_url,
            "REDIS_URL": redis_url,
            "CELERY_BROKER_URL": redis_url,
        }

    def _file(self) -> Path:
        if self.rows == SAMPLE_ROWS:
            return SAMPLES / "customers.csv"
        path = self.own.folder / "customers.csv"
        command = [sys.executable, str(SAMPLES / "make_customers.py"), "--rows", str(self.rows), "--out", str(path)]
        subprocess.run(command, check=True)
        return path


def report(
    outcome: dict[str, Any], campaign: dict[str, Any], ledger: dict[str, int], refused: list[dict[str, Any]]
) -> str:
    statuses = ["pending", "sent", "delivered", "undelivered", "rejected", "unknown", "unconfirmed", "failed"]
    rows = [(name, campaign[name], ledger.get(name, "")) for name in statuses if campaign[name]]
    rows.append(("accepted in all", outcome["accepted"], ledger["accepted"]))
    reasons = Counter((row["reason"], row["message"]) for row in refused)
    shown = [(row["row"], row["reason"], row["value"]) for row in refused[:SHOWN_ROWS]]
    tables = (
        table("Outcome", ("status", "messages", "simulator's ledger"), rows),
        table(
            "Refused rows by reason",
            ("reason", "rows", "meaning"),
            [(reason, count, text) for (reason, text), count in reasons.most_common()],
        ),
        table(f"Refused rows (first {len(shown)} of {len(refused)})", ("row", "reason", "value"), shown),
    )
    return "".join(f"\n{text}\n" for text in tables)
