"""Let sending go on; a restored database is compared with the provider first."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.security import sending_hold
from messaging.restore import recovery, release
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState

LOOK = 1.0  # seconds between two looks, where another process takes the steps or the provider needs time


class Command(BaseCommand):
    help = (
        "Releases sending. Of a restored or copied database every batch that could still be sent is first looked up "
        "at the provider, at the rate it allows; broken off, workers go on with it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--by", default="manage.py", help="who, for the log")
        parser.add_argument("--force", action="store_true", help="release also what could not be looked up")
        parser.add_argument(
            "--check", action="store_true", help="look up under a hold by hand too, as after a lossy failover"
        )

    def handle(self, *args: Any, by: str, force: bool, check: bool, **options: Any) -> None:
        if held := sending_hold.current():
            self.stdout.write(
                f"Held by {held.by} since {held.since:%Y-%m-%d %H:%M:%S} UTC: {held.reason} {held.detail}"
            )
        for row in release.waiting():
            self.stdout.write(f"  {row.campaigns} campaigns {row.status.lower()}, {row.messages} messages queued")
        try:
            step = release.request(by, force=force, check=check)
        except InvalidState as error:
            raise CommandError(error.message) from error
        said, was_compared = "", step is not None
        while step is not None and step.state == release.CHECKING:
            step = release.take_step()
            if step is not None and (words := self._words(step)) != said:
                said = words
                self.stdout.write(words)
            if step is not None and (step.note or step.not_before > clock.now().timestamp()):
                time.sleep(LOOK)
        if step is not None:
            raise CommandError(
                f"Not released: {release.unchecked()} batches could not be compared with the provider. {step.note} "
                "Try again later, cancel campaigns that must not be sent twice, or add --force."
            )
        if was_compared:
            self._print_found(recovery.REPORT.get())
        self.stdout.write("Sending is released.")

    def _print_found(self, found: recovery.Found) -> None:
        """Of a copy: what was sent in the time that it has forgotten."""
        for name, count in found.placed.items():
            self.stdout.write(f"Account {name}: {count} messages taken in from the provider's log; none is charged.")
        for message_id, words in found.unplaced.items():
            self.stdout.write(f"Not placed: {message_id}, {words}")
        if more := found.unplaced_count - len(found.unplaced):
            self.stdout.write(f"Not placed: {more} more")
        for words in found.untold:
            self.stdout.write(f"What was sent since the backup is not known. {words}")

    def _words(self, step: release.Release) -> str:
        return f"{step.checked} batches compared, {step.found} messages found at the provider. {step.note}".strip()
