"""Worker processes that freeze or die at a chosen line of dispatch, on the test's own PostgreSQL database.

`python -m tests.support.servers.worker_process` reads one JSON command per line and answers with one line: it imports
everything once and forks a worker for each `start`, so that a worker is up in milliseconds. `Workers` talks to it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

LIFETIME = 30  # seconds, of a worker
ROOT = Path(__file__).resolve().parents[3]
#: What a worker takes over from the settings of the test.
SETTINGS = (
    "SIMULATOR_URL",
    "SIMULATOR_API_KEY",
    "GATEWAY_TIMEOUT",
    "LEASE_SECONDS",
    "LEASE_MARGIN",
    "RETRY_BACKOFF",
    "SIMULATOR_UNKNOWN_GRACE",
    "SIMULATOR_RESEND_UNKNOWN_AFTER",
)


class Workers:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, settings: Any, **orders: Any) -> int:
        """A worker's process id. `freeze`: where it stops itself, before `make_call`, `submit` or `record`; `dies_of`:
        the batch that kills it; `budget`: seconds."""
        values = {name: getattr(settings, name) for name in SETTINGS}
        return int(self._ask(start={"settings": values, **orders}))

    def state(self, pid: int) -> str:
        """`running`, `stopped`, `ended`, or `killed`."""
        return self._ask(state=pid)

    def wait_for(self, pid: int, *states: str) -> str:
        deadline = time.monotonic() + LIFETIME
        while (state := self.state(pid)) not in states:
            assert state in ("running", "stopped"), state
            assert time.monotonic() < deadline, f"the worker is {state}"
            time.sleep(0.01)
        return state

    def freeze(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        self.wait_for(pid, "stopped")

    def thaw(self, pid: int) -> None:
        """Let it go on, and return when it has ended by itself."""
        os.kill(pid, signal.SIGCONT)
        self.wait_for(pid, "ended")

    def _ask(self, **command: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def running_workers(database: dict[str, Any]) -> Iterator[Workers]:
    """`database`: the `settings_dict` of the test's connection."""
    user = f"{quote(database['USER'])}:{quote(database['PASSWORD'])}"
    url = f"postgres://{user}@{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"
    environment = os.environ | {"DATABASE_URL": url, "LOG_LEVEL": "CRITICAL"}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
    )
    try:
        yield Workers(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # a group of its own: the server and its workers
        process.communicate()


def serve() -> None:
    import django

    django.setup()
    from messaging import tasks  # noqa: F401  (so that a fork has nothing left to import)

    states: dict[int, str] = {}
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            pid = os.fork()
            if not pid:
                _work(**command["start"])
            states[pid] = "running"
            print(pid, flush=True)
        else:
            print(_state(command["state"], states), flush=True)


def _state(pid: int, states: dict[int, str]) -> str:
    if states[pid] in ("running", "stopped"):
        changed, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if changed:
            states[pid] = _in_words(status)
    return states[pid]


def _in_words(status: int) -> str:
    if os.WIFSTOPPED(status):
        return "stopped"
    if os.WIFCONTINUED(status):
        return "running"
    return "killed" if os.WIFSIGNALED(status) else f"ended{os.WEXITSTATUS(status) or ''}"


def _work(settings: dict[str, Any], freeze: str = "", dies_of: int = 0, budget: float = 0.5) -> None:
    from django.conf import settings as django_settings

    from messaging.choices import Lane
    from messaging.gateways.infobip import Infobip
    from messaging.sending import dispatch, in_flight, prepare

    signal.alarm(LIFETIME)
    for name, value in settings.items():
        setattr(django_settings, name, value)
    prepare.report_url = lambda gateway: ""
    if freeze:
        owner = {"submit": Infobip, "make_call": in_flight}.get(freeze, dispatch)
        setattr(owner, freeze, _after_a_stop(getattr(owner, freeze)))
    if dies_of:
        dispatch.open_attempts = _deadly(dispatch.open_attempts, dies_of)
    status = 1
    try:
        dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=budget)
        status = 0
    finally:
        os._exit(status)


def _after_a_stop(act: Any) -> Any:
    def stop_first(*arguments: Any) -> Any:
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # to this thread: it takes no step more
        return act(*arguments)

    return stop_first


def _deadly(open_attempts: Any, batch_id: int) -> Any:
    def die(batches: Any) -> Any:
        if batch_id in [batch.pk for batch in batches]:
            os.kill(os.getpid(), signal.SIGKILL)
        return open_attempts(batches)

    return die


if __name__ == "__main__":
    serve()
