"""Prices of one segment by number prefix.

The account's own list counts first, then the general one; in each the longest matching prefix. CSV for the import:
`prefix,price[,currency]` in each row, the price of one segment with up to six decimals, an optional first row of names.
An empty prefix means everywhere else.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.billing.credit import MICRO, amount_of
from accounts.models import Account, Price, User
from accounts.security import audit
from smsapp.core import clock
from smsapp.core.exceptions import ValidationError

MAX_ROWS = 50_000
MAX_ERRORS = 100
MAX_PRICE = 1000 * MICRO
ASKED_FOR = 2000  # prefixes queried by name; for more the whole list is read

_is_prefix = re.compile(r"\+?([0-9]{0,15})").fullmatch
_is_price = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6})?").fullmatch
_is_currency = re.compile(r"[A-Z]{3}").fullmatch


class PriceList:
    """Prices by prefix: digits without plus."""

    def __init__(self, prices: Mapping[str, int]) -> None:
        self.prices = dict(prices)
        self._lengths = sorted({len(prefix) for prefix in prices}, reverse=True)

    @classmethod
    def of(cls, account: Account, phones: Iterable[str] | None = None) -> Self:
        """Return what this account pays now, for these E.164 numbers if only they matter. One query."""
        rows = Price.objects.filter(Q(account=account) | Q(account=None), currency=account.currency)
        if phones is not None:
            wanted = {phone[1 : length + 1] for phone in phones for length in range(len(phone))}
            if len(wanted) <= ASKED_FOR:
                rows = rows.filter(prefix__in=wanted)
        own: dict[str, int] = {}
        general: dict[str, int] = {}
        for account_id, prefix, price in rows.values_list("account_id", "prefix", "price_micro"):
            (general if account_id is None else own)[prefix] = price
        return cls(own | {prefix: price for prefix, price in general.items() if _match(own, prefix) is None})

    def price_of(self, digits: str) -> int | None:
        """Return the price of one segment to this number, without plus; None if there is none."""
        for length in self._lengths:
            price = self.prices.get(digits[:length])
            if price is not None:
                return price
        return None

    def highest_of(self, digits: str) -> int | None:
        """Return the highest price of a segment to any number with this prefix; None if some may have no price."""
        price = self.price_of(digits)
        if price is None:
            return None
        return max([price, *(other for prefix, other in self.prices.items() if prefix.startswith(digits))])

    def cut_to(self, beginnings: Iterable[str]) -> "PriceList":
        """Return the part of the list that numbers with these first digits need."""
        wanted = set(beginnings)
        lengths = {len(beginning) for beginning in wanted}
        shorter = {beginning[:length] for beginning in wanted for length in range(len(beginning) + 1)}
        return PriceList(
            {
                prefix: price
                for prefix, price in self.prices.items()
                if prefix in shorter or any(prefix[:length] in wanted for length in lengths)
            }
        )


def _match(prices: Mapping[str, int], digits: str) -> int | None:
    return next((prices[digits[:n]] for n in range(len(digits), -1, -1) if digits[:n] in prices), None)


class RowError(NamedTuple):
    """`row`: its number in the file, from 1."""

    row: int
    message: str


class PricesInvalid(ValidationError):
    """Rows of a price list that cannot be imported; nothing was."""

    def __init__(self, errors: list[RowError]) -> None:
        super().__init__("Nothing was imported: some rows are wrong.", "file")
        self.errors = errors


def import_prices(lines: Iterable[str], account: Account | None, currency: str, by: User | None) -> int:
    """Set the prices of a CSV file in an account's own list, or in the general one (None). Return their number.

    Prices it does not name stay. Raises PricesInvalid with every wrong row, up to MAX_ERRORS, and changes nothing.
    """
    prices, errors = _read(lines, account.currency if account else currency)
    if not prices and not errors:
        errors = [RowError(1, "The file has no rows.")]
    if errors:
        raise PricesInvalid(errors)
    try:
        with transaction.atomic():
            _store(prices, account)
            audit.record(
                "prices.imported",
                account=account,
                by=by,
                target_type="price_list",
                target_id=str(account.pk) if account else "general",
                after={"rows": len(prices)},
            )
    except IntegrityError as error:
        raise PricesInvalid([RowError(1, "Somebody changed the list at the same time. Try again.")]) from error
    return len(prices)


def _store(prices: Mapping[tuple[str, str], int], account: Account | None) -> None:
    stored = {(price.currency, price.prefix): price for price in Price.objects.filter(account=account)}
    now = clock.about_now()
    changed = []
    for key in prices.keys() & stored.keys():
        price = stored[key]
        price.price_micro, price.updated_at = prices[key], now
        changed.append(price)
    Price.objects.bulk_update(changed, ["price_micro", "updated_at"], batch_size=500)
    Price.objects.bulk_create(
        [
            Price(account=account, prefix=prefix, currency=currency, price_micro=price)
            for (currency, prefix), price in prices.items()
            if (currency, prefix) not in stored
        ],
        batch_size=1000,
    )


def note_change(price: Price, by: User | None, before: Mapping[str, str] | None = None) -> None:
    """Record that a price was added or changed by hand."""
    audit.record(
        "price.changed",
        account=price.account,
        by=by,
        target_type="price",
        target_id=str(price.pk),
        before=before,
        after=shown(price),
    )


def note_removal(price: Price, by: User | None) -> None:
    audit.record(
        "price.removed",
        account=price.account,
        by=by,
        target_type="price",
        target_id=str(price.pk),
        before=shown(price),
    )


def shown(price: Price) -> dict[str, str]:
    return {"prefix": price.prefix, "price": str(amount_of(price.price_micro)), "currency": price.currency}


def parse_price(text: str) -> int:
    """Return millionths. Raises ValueError for anything but 0 to 1,000 with up to six decimals."""
    text = text.strip()
    if not _is_price(text):
        raise ValueError(text)
    whole, _, decimals = text.partition(".")
    price = int(whole) * MICRO + int(decimals.ljust(6, "0") or 0)
    if price > MAX_PRICE:
        raise ValueError(text)
    return price


def _read(lines: Iterable[str], currency: str) -> tuple[dict[tuple[str, str], int], list[RowError]]:
    prices: dict[tuple[str, str], int] = {}
    errors: list[RowError] = []
    number = 0
    try:
        for number, cells in enumerate(csv.reader(lines, strict=True), 1):
            cells = [cell.strip() for cell in cells]
            if not any(cells) or (number == 1 and cells[:2] == ["prefix", "price"]):
                continue
            try:
                key, price = _row(cells, currency)
                if key in prices:
                    raise ValueError("This prefix was there before.")
                prices[key] = price
            except ValueError as error:
                errors.append(RowError(number, str(error)))
            if len(errors) == MAX_ERRORS:
                break
            if number > MAX_ROWS:
                return {}, [RowError(number, f"There are more than {MAX_ROWS:,} rows.")]
    except (csv.Error, UnicodeDecodeError) as error:
        errors.append(RowError(number + 1, f"This cannot be read: {error}."))
    return prices, errors


def _row(cells: list[str], currency: str) -> tuple[tuple[str, str], int]:
    if len(cells) not in (2, 3):
        raise ValueError("There should be two or three values: prefix,price[,currency].")
    prefix = _is_prefix(cells[0])
    if prefix is None:
        raise ValueError("The prefix must be up to 15 digits, with or without a plus.")
    currency = cells[2].upper() if len(cells) == 3 and cells[2] else currency
    if not _is_currency(currency):
        raise ValueError("The currency must be three letters, such as EUR.")
    try:
        price = parse_price(cells[1])
    except ValueError:
        raise ValueError("The price must be from 0 to 1000, with a point and up to six decimals.") from None
    return (currency, prefix.group(1)), price
