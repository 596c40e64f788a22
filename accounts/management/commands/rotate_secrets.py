"""`manage.py rotate_secrets`: encrypt every stored secret anew with the first of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.security import encryption
from smsapp.monitoring import key_prints


class Command(BaseCommand):
    help = "Encrypts every stored secret anew with the first of ENCRYPTION_KEYS. May run beside everything else."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--give-up-unreadable",
            action="store_true",
            help="rotate nothing: a former key is lost, and what it encrypted with it; processes may start again",
        )

    def handle(self, *args: Any, give_up_unreadable: bool, **options: Any) -> None:
        if give_up_unreadable:
            key_prints.note_rotated()
            self.stdout.write("Noted. Enter again what cannot be read: credentials of gateways, secrets of webhooks.")
            return
        try:
            for field, count in encryption.rotate():
                self.stdout.write(f"{field}: {count}")
        except encryption.SecretUnreadable as error:
            raise CommandError(str(error)) from error
        key_prints.note_rotated()
        self.stdout.write("Everything is encrypted with the first key; those behind it may be taken away.")
