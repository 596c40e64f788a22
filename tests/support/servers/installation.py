"""`manage.py run` in a folder of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from smsapp.runtime.supervisor import free_port

NAMED = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "DJANGO_SETTINGS_MODULE",
    "INFOBIP_BASE_URL",
    "SIMULATOR_URL",
)


def start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    kept = {name: value for name, value in os.environ.items() if name not in NAMED}
    own = {"VAR_DIR": str(folder), "PORT": str(port), "EMBEDDED_BROKER_PORT": str(free_port())}
    environment = kept | own | {"SIMULATOR_PORT": str(free_port())}
    with (folder / "out").open("a") as out:
        command = [sys.executable, "manage.py", "run"]
        return subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stdout=out, stderr=subprocess.STDOUT)


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@contextmanager
def running(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    with start(folder, port) as process:
        try:
            wait_until(lambda: "smsapp is running" in (folder / "out").read_text() or process.poll() is not None)
            assert process.poll() is None, (folder / "out").read_text()
            yield process
        finally:
            process.terminate()
            process.wait(60)
