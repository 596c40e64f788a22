"""`make chaos`: kill -9 in the middle of a campaign, again and again, then the database beside the ledger.

MESSAGES, KILLS, SEED, DATABASE (sqlite or postgres), TIMEOUT (seconds for all of it) and KEEP=1 (leave logs and, for
SQLite, the database in the folder that is named) come from the environment. DATABASE=postgres uses the servers of
DATABASE_URL and REDIS_URL, or those on this machine's standard ports; sqlite is the embedded default.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import django
from django.db import connection

from smsapp.demo.scratch import Scratch, scratch
from smsapp.processes import RESTART_CAP, ProcessError, StopRequested, Supervisor, into_folder
from smsapp.stack import ROOT
from tests.services import STANDARD_POSTGRESQL, STANDARD_REDIS


@dataclass(frozen=True)
class Options:
    messages: int
    kills: int
    seed: int
    database: str
    seconds: float
    keep: bool


def options_from(environment: dict[str, str]) -> Options:
    """Ends the program with a word on what is wrong."""
    database = environment.get("DATABASE") or "sqlite"
    if database not in ("sqlite", "postgres"):
        sys.exit(f"DATABASE must be sqlite or postgres, not {database!r}.")
    messages, kills = _number(environment, "MESSAGES", 1000), _number(environment, "KILLS", 10)
    if not messages or not kills:
        sys.exit("MESSAGES and KILLS must be 1 or more.")
    seconds = _number(environment, "TIMEOUT", 180 + messages // 20 + 10 * kills)
    keep = environment.get("KEEP", "") not in ("", "0")
    return Options(messages, kills, _number(environment, "SEED", 1), database, seconds, keep)


def _number(environment: dict[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal():
        sys.exit(f"{name} must be a whole number, not {text!r}.")
    return int(text)


def servers(database: str) -> tuple[str, str]:
    """URLs of the database and the Redis server; empty for the embedded ones."""
    if database == "sqlite":
        return "", ""
    named = os.environ.get("DATABASE_URL", "")
    return (
        named if named.startswith("postgres") else STANDARD_POSTGRESQL,
        os.environ.get("REDIS_URL") or STANDARD_REDIS,
    )


def run(options: Options, own: Scratch) -> int:
    """Django is set up on the run's own database, so that the harness reads what its processes write."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.base",
        "VAR_DIR": str(own.folder.resolve()),
        "DATABASE_URL": own.database_url,
        "REDIS_KEY_PREFIX": own.name,
        "LOG_LEVEL": "WARNING",
    }
    django.setup()
    from tests.chaos.play import Run
    from tests.chaos.stand import Stand

    with Supervisor(into_folder(own.folder / "logs"), restart_cap=options.kills + RESTART_CAP) as supervisor:
        stand = Stand(supervisor, own, options.messages, 1)
        play = Run(stand, options.messages, options.kills, options.seed, options.seconds)
        is_good = play.play()
    connection.close()
    print(json.dumps(play.outcome), flush=True)
    return 0 if is_good else 1


def main() -> int:
    options = options_from(dict(os.environ))
    parent = Path(os.environ.get("VAR_DIR") or ROOT / "var")
    try:
        with scratch(parent, *servers(options.database), keep=options.keep) as own:
            if options.keep:
                (own.folder / "kept").touch()
                print(f"Logs and data: {own.folder}")
            return run(options, own)
    except StopRequested:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 130
    except ProcessError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
