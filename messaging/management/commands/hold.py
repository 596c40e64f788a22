"""Stop all sending with one word."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.security.sending_hold import hold


class Command(BaseCommand):
    help = "Holds all sending of this installation. When it returns, no call is prepared until `manage.py release`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reason", help="why, as customers' programs read it at /api/v1/health")
        parser.add_argument("--by", default="manage.py", help="who, as the console shows it")

    def handle(self, *args: Any, reason: str, by: str, **options: Any) -> None:
        if not reason.strip():
            raise CommandError("Say why: customers' programs and the other operators read it.")
        held = hold(reason.strip(), by)
        self.stdout.write(f"Sending is held since {held.since:%Y-%m-%d %H:%M:%S} UTC: {held.reason}")
