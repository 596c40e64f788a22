"""A whole installation of its own for a browser, as `make run` starts it, with something to see in it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from smsapp.runtime.supervisor import free_port

ROOT = Path(__file__).resolve().parents[2]
NAMED = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "REDIS_KEY_PREFIX",
    "DJANGO_SETTINGS_MODULE",
    "INFOBIP_BASE_URL",
    "SIMULATOR_URL",
)
STARTS_WITHIN = 120  # seconds
#: The sample file of a customer who did not clean it: umlauts, landlines, repetitions, blanks, a formula.
DIRTY = (
    "name;phone;city\n"
    + "".join(f"Anna {n};0151 123{n:05d};Köln\n" for n in range(60))
    + "Shop;030 901820;Berlin\nAnna again;+49 151 12300001;Ulm\n;;\n=1+1;not a number;Bonn\nEva;+1 415 555 2671;Reno\n"
)


@dataclass(frozen=True)
class Platform:
    url: str
    username: str
    password: str
    api_key: str
    folder: Path
    environment: dict[str, str]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The API, with the owner's key; what its answer has in `data`."""
        headers = {"X-API-Key": self.api_key}
        answer = httpx2.request(
            method, f"{self.url}/api/v1/{path}", json=body, headers=headers, timeout=30, trust_env=False
        )
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def run(self, code: str) -> str:
        """Python inside the installation, for what no door does; what it printed."""
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Platform]:
    kept = {name: value for name, value in os.environ.items() if name not in NAMED}
    ports = {"PORT": free_port(), "EMBEDDED_BROKER_PORT": free_port(), "SIMULATOR_PORT": free_port()}
    environment = kept | {name: str(port) for name, port in ports.items()}
    environment |= {"VAR_DIR": str(folder), "UNDO_SECONDS": "4"} | settings
    log = folder / "out"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while "smsapp is running" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the platform did not start in time"
            time.sleep(0.2)
        demo = json.loads((folder / "demo.json").read_text())
        yield Platform(demo["url"], demo["username"], demo["password"], demo["api_key"], folder, environment)
    finally:
        process.terminate()
        process.wait(60)
