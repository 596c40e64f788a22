"""The processes of a whole installation on one machine, as programs for the supervisor.

Everything they need to know is in the environment they get.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx2
from django.conf import settings

from smsapp.queues import WORKERS
from smsapp.runtime.supervisor import Program, accepts_connections

ROOT = Path(__file__).resolve().parents[2]
WEB_PROCESSES = 2
WEB_THREADS = 4

Environment = Mapping[str, str]


def manage(name: str, env: Environment, *arguments: str) -> Program:
    """Return a management command that does its work and ends."""
    return Program(name, [sys.executable, "manage.py", *arguments], env, cwd=ROOT)


def embedded_redis_url(port: int) -> str:
    return f"redis://:{settings.EMBEDDED_BROKER_PASSWORD}@127.0.0.1:{port}/0"


def broker(env: Environment, port: int) -> Program:
    command = [sys.executable, "manage.py", "broker", "--port", str(port)]
    return Program("broker", command, env, ready=lambda: accepts_connections(port), restart=True, cwd=ROOT)


def simulator(env: Environment, port: int, ledger: Path, *options: str) -> Program:
    command = [sys.executable, "manage.py", "simulator", "--port", str(port), "--ledger", str(ledger), *options]
    url = f"http://127.0.0.1:{port}/simulator/health"
    return Program("simulator", command, env, ready=lambda: answers(url), restart=True, cwd=ROOT)


def web(env: Environment, host: str, port: int) -> Program:
    command = [
        *(sys.executable, "-m", "gunicorn", "smsapp.wsgi", "--config", "python:smsapp.runtime.gunicorn"),
        *("--bind", f"{host}:{port}"),
        *("--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS)),
        *("--graceful-timeout", "5", "--timeout", "60", "--log-level", "warning"),
    ]
    url = f"http://{reachable(host)}:{port}/health"
    return Program("web", command, env, ready=lambda: answers(url), ready_within=60, restart=True, layer=1, cwd=ROOT)


def workers(env: Environment, copies: int = 1) -> list[Program]:
    """Return the worker processes of `smsapp/queues.py`, each `copies` times."""
    return [
        _worker(env, name if copy == 0 else f"{name}-{copy + 1}", ",".join(queues), children)
        for copy in range(copies)
        for name, queues, children in WORKERS
    ]


def _worker(env: Environment, name: str, queues: str, children: int) -> Program:
    command = [
        *(sys.executable, "-W", "ignore:You're running the worker with superuser"),
        *("-m", "celery", "--quiet", "-A", "smsapp", "worker", "-n", f"{name}@%h", "-Q", queues),
        *("-c", str(children), "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    ]
    return Program(name, command, env, stop_within=20, restart=True, layer=1, cwd=ROOT)


def beat(env: Environment) -> Program:
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "smsapp", "beat", "--loglevel", "INFO"]
    return Program("beat", command, env, restart=True, layer=1, cwd=ROOT)


def reachable(host: str) -> str:
    """Return the address by which this machine reaches a server bound to `host`, as in a URL."""
    if host in ("", "0.0.0.0", "::", "[::]"):  # noqa: S104  (compared, not bound)
        return "127.0.0.1"
    return host


def answers(url: str) -> bool:
    """Return whether GET gives 200 within two seconds."""
    try:
        return httpx2.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False
