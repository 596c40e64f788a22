"""The demo account in a migrated database, with its credentials in `var/demo.json`."""

import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from smsapp.demo.account import ensure_demo_account
from smsapp.monitoring import key_prints


def read_credentials(path: Path) -> dict[str, Any]:
    """What an earlier run wrote; empty if there is nothing readable."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_credentials(path: Path, content: dict[str, Any]) -> None:
    """Readable by its owner only, and never half-written."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    fresh.rename(path)


def is_behind() -> bool:
    """Whether migrations are to be applied: a first start, or one after an upgrade, takes a while and says so."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


class Command(BaseCommand):
    help = (
        "Migrates, makes sure that the demo account, its user, sender and API key exist, and writes them to "
        "var/demo.json. Run again it keeps the password and the key of that file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--url",
            default=settings.PUBLIC_URL or f"http://127.0.0.1:{settings.PORT}",
            help="where the web server is reached",
        )
        parser.add_argument("--simulator-url", default="", help="empty: no simulator was started")

    def handle(self, *args: Any, url: str, simulator_url: str, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=1 if is_behind() else 0)
        try:
            key_prints.require()
        except key_prints.WrongKeys as error:
            raise CommandError(str(error)) from error
        path = settings.VAR_DIR / "demo.json"
        before = read_credentials(path)
        demo = ensure_demo_account(before.get("password"), before.get("api_key"))
        write_credentials(
            path,
            {
                "url": url,
                "username": demo.username,
                "password": demo.password,
                "api_key": demo.api_key,
                "sender_id": demo.sender,
                "simulator_url": simulator_url or None,
            },
        )
