"""`make run`: a whole installation in the foreground, with whatever the environment does not provide."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from smsapp.management.commands.demo_account import read_credentials
from smsapp.runtime import left_behind, programs
from smsapp.runtime.supervisor import ProcessError, StopRequested, Supervisor, free_port, is_port_free, prefixed

MIGRATION_TIME = 600.0  # seconds; a first migration takes some, a large one on a full database more


class Command(BaseCommand):
    help = "Runs web server, workers, beat and, unless the environment names others, broker and simulator."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = os.environ.get("HOST") or "127.0.0.1", settings.PORT
        with only_one(settings.VAR_DIR / "run.lock"):
            for process in left_behind.end_left_behind(settings.VAR_DIR):
                self.stdout.write(f"Ended, left behind by an earlier run: {process}.")
            require_port(host, port)
            try:
                with Supervisor(prefixed()) as supervisor:
                    self._start(supervisor, host, port)
                    supervisor.run_forever()
            except ProcessError as error:
                raise CommandError(str(error)) from error
            except StopRequested:
                self.stdout.write("All stopped.")

    def _start(self, supervisor: Supervisor, host: str, port: int) -> None:
        folder = str(settings.VAR_DIR.resolve())
        env = dict(os.environ) | {"VAR_DIR": folder, left_behind.FOLDER_MARK: folder, "PORT": str(port)}
        url = f"http://{programs.reachable(host)}:{port}"
        foundations, simulator_url = [], ""
        if not os.environ.get("REDIS_URL"):
            broker_port = settings.EMBEDDED_BROKER_PORT
            broker_port = broker_port if is_port_free(broker_port) else free_port()
            env["REDIS_URL"] = programs.embedded_redis_url(broker_port)
            foundations.append(programs.broker(env, broker_port))
        provider = settings.INFOBIP_BASE_URL or (settings.TWILIO_ACCOUNT_SID and "Twilio")
        if not provider and not os.environ.get("SIMULATOR_URL"):
            simulator_port = settings.SIMULATOR_PORT if is_port_free(settings.SIMULATOR_PORT) else free_port()
            simulator_url = f"http://127.0.0.1:{simulator_port}"
            env |= {"SIMULATOR_PORT": str(simulator_port), "SIMULATOR_URL": simulator_url}
            foundations.append(programs.simulator(env, simulator_port, settings.VAR_DIR / "simulator" / "ledger.jsonl"))
        children = [supervisor.start(program) for program in foundations]
        self.stdout.write("Preparing the database.")
        self.stdout.flush()
        arguments = ("demo_account", "--url", url, "--simulator-url", simulator_url)
        try:
            supervisor.finish(supervisor.start(programs.manage("prepare", env, *arguments)), MIGRATION_TIME)
        except ProcessError as error:
            raise ProcessError(f"{error}{who_holds_the_database(str(error))}") from error
        for child in children:
            child.wait_ready()
        supervisor.start_ready(programs.web(env, host, port), *programs.workers(env), programs.beat(env))
        self._announce(url, simulator_url or provider or env["SIMULATOR_URL"], not simulator_url)

    def _announce(self, url: str, gateway: str, is_real: bool) -> None:
        path = settings.VAR_DIR / "demo.json"
        demo = read_credentials(path)
        note = "configured in the environment" if is_real else "the simulator: no SMS leaves this machine"
        self.stdout.write(
            f"\nsmsapp is running. Ctrl-C stops it.\n\n"
            f"  Dashboard   {url}/\n"
            f"  Console     {url}/admin/\n"
            f"  API docs    {url}/api/v1/docs\n"
            f"  Sign in     {demo['username']}   password {demo['password']}\n"
            f"  API key     {demo['api_key']}\n"
            f"  Sender      {demo['sender_id']}\n"
            f"  Gateway     {gateway} ({note})\n\n"
            f"The same is in {path}\n"
        )
        self.stdout.flush()


def require_port(host: str, port: int) -> None:
    """Raises CommandError, naming the port, if a server could not listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host.strip("[]"), port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(f"Port {port} is in use. Choose another: PORT={port + 10} make run") from error
            raise CommandError(f"Cannot listen on {host} port {port}: {error.strerror}.") from error


def who_holds_the_database(text: str) -> str:
    """A line that names who does, where `text` says that a SQLite database is locked; otherwise empty."""
    if "database is locked" not in text:
        return ""
    path = Path(settings.DATABASES["default"]["NAME"])
    holders = left_behind.holders_of(path)
    if not holders:
        return f"\n{path} is locked, and no process of this user is seen to hold it."
    return f"\n{path} is held by {', '.join(holders)}. It is not ours to end: end it, and start again."


def only_one(path: Path) -> IO[str]:
    """An open file that holds the lock; raises CommandError if another `run` works on the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise CommandError(
            f"Another `make run` uses {path.parent}. Give this one a folder of its own: VAR_DIR=... make run"
        ) from error
    return file
