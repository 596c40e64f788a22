"""Import a price list: `prefix,price[,currency]` in each row, the price of one segment. All of it, or nothing."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.billing.prices import PricesInvalid, import_prices
from accounts.models import Account


class Command(BaseCommand):
    help = "Set the prices of a CSV file (prefix,price[,currency]); prefixes that it does not name keep theirs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--account", type=int, help="number of the account; without it, the general list")
        parser.add_argument("--currency", default="EUR", help="of rows that name none, in the general list")

    def handle(self, *args: Any, **options: Any) -> None:
        account = Account.objects.filter(pk=options["account"]).first()
        if options["account"] is not None and account is None:
            raise CommandError("There is no such account.")
        try:
            with options["file"].open(encoding="utf-8-sig", newline="") as lines:
                count = import_prices(lines, account, options["currency"], by=None)
        except OSError as error:
            raise CommandError(f"The file cannot be read: {error.strerror}.") from error
        except PricesInvalid as refused:
            rows = "\n".join(f"row {error.row}: {error.message}" for error in refused.errors)
            raise CommandError(f"{refused.message}\n{rows}") from refused
        self.stdout.write(f"{count} prices set.")
