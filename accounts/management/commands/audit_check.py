"""Walk the audit log's chain of hashes and say where it does not hold."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.models import AuditEvent

MAX_SHOWN = 20


class Command(BaseCommand):
    help = "Check that no audit event was changed, removed or slipped in; exits with 1 if one was."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--head", help="A line this command printed earlier: the log must still contain that seal.")

    def handle(self, *args: Any, **options: Any) -> None:
        faults = list(audit.verify())
        if options["head"]:
            faults += _missing_head(options["head"])
        for fault in faults[:MAX_SHOWN]:
            self.stderr.write(f"{fault.position}: {fault.problem}")
        if faults:
            raise CommandError(f"The audit log does not hold at {len(faults)} places.")
        position, last = audit.head()
        self.stdout.write(f"{position}:{last}")


def _missing_head(text: str) -> list[audit.Fault]:
    position, _, seal = text.strip().partition(":")
    if not position.isdigit():
        raise CommandError("--head takes a line as this command prints it, <position>:<hash>.")
    if int(position) == 0 or AuditEvent.objects.filter(position=int(position), hash=seal).exists():
        return []
    return [audit.Fault(int(position), "the log does not contain the seal that was kept")]
