"""Walk the audit log's chain of hashes and say where it does not hold."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.security import audit
from accounts.security.audit_witness import Head
from smsapp.lib.digits import whole_number

MAX_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Check that no audit event was changed, removed or slipped in, and that the log contains what was noted "
        "outside the database; exits with 1 if not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--head", help="A line this command printed earlier: the log must still contain that seal.")
        parser.add_argument(
            "--accept",
            action="store_true",
            help="after a backup was put back: take the log as it stands for the whole one, and write that down",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["accept"]:
            audit.accept(getpass.getuser())
        faults = list(audit.verify())
        if options["head"]:
            faults += _missing_head(options["head"])
        for fault in faults[:MAX_SHOWN]:
            self.stderr.write(f"{fault.position}: {fault.problem}")
        if faults:
            raise CommandError(f"The audit log does not hold at {len(faults)} places.")
        self.stdout.write("{}:{}".format(*audit.head()))


def _missing_head(text: str) -> list[audit.Fault]:
    number, _, seal = text.strip().partition(":")
    position = whole_number(number)
    if position is None:
        raise CommandError("--head takes a line as this command prints it, <position>:<hash>.")
    if audit.contains(Head(position, seal)):
        return []
    return [audit.Fault(position, "the log does not contain the seal that was kept")]
