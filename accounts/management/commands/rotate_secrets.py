"""`manage.py rotate_secrets`: encrypt every stored secret anew with the first of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import secrets


class Command(BaseCommand):
    help = "Encrypts every stored secret anew with the first of ENCRYPTION_KEYS. May run beside everything else."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for field, count in secrets.rotate():
                self.stdout.write(f"{field}: {count}")
        except secrets.SecretUnreadable as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Everything is encrypted with the first key; those behind it may be taken away.")
