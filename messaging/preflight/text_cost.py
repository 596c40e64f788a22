"""What a writer is told about a text: its cost, what makes it more expensive, and how it will look."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.billing.credit import amount_of
from accounts.billing.prices import PriceList
from accounts.models import Account
from campaigns.texts.opt_out_links import blank_link
from campaigns.texts.rendering import Template
from smsapp.core.exceptions import TemplateVariableMissing
from smsapp.lib.phone import RefusedNumber, parse_number
from smsapp.lib.text import (
    GSM7,
    GSM7_JOINED,
    GSM7_SINGLE,
    MAX_TEXT_LENGTH,
    UCS2_JOINED,
    UCS2_SINGLE,
    analyse,
    forbidden_characters,
    invisible_characters,
    normalise,
    plain_for,
)


@dataclass(frozen=True, slots=True)
class Costly:
    """A character outside the GSM alphabet.

    `plain`: an equivalent within it, or None. `is_written`: by the writer; otherwise it comes with the recipient's
    data.
    """

    character: str
    name: str
    plain: str | None
    is_written: bool


@dataclass(frozen=True, slots=True)
class Composed:
    """`price`: of the text to all valid numbers, None where there is no price list for them."""

    text: str
    length: int
    is_too_long: bool
    encoding: str
    segments: int
    units_left: int
    single: int
    joined: int
    costly: list[Costly]
    hidden: list[str]
    forbidden: list[str]
    good_numbers: int
    price: Decimal | None

    @property
    def is_unicode(self) -> bool:
        return self.encoding != GSM7

    @property
    def replaceable_count(self) -> int:
        return sum(one.plain is not None for one in self.costly)


def without_values(text: str) -> str:
    """Return the text of a campaign whose recipients have no values; unchanged where it needs some."""
    try:
        return Template(text).bind(()).render((), blank_link())
    except TemplateVariableMissing:
        return text


def compose(
    account: Account,
    message: str,
    numbers: Sequence[str] = (),
    own: Collection[str] | None = None,
    *,
    is_final: bool = False,
) -> Composed:
    """Return the cost of a text as it stands, to numbers in any format, of which the valid ones are priced.

    `own`: the characters that the writer can replace, None for all; none at all in a text that is final.
    """
    text = normalise(message)
    facts = analyse(text)
    is_unicode = facts.encoding != GSM7
    phones = _good(numbers, account.default_country)
    hidden = set(invisible_characters(text))
    return Composed(
        text=text,
        length=len(text),
        is_too_long=len(text) > MAX_TEXT_LENGTH,
        encoding=facts.encoding,
        segments=facts.segment_count,
        units_left=facts.units_left,
        single=UCS2_SINGLE if is_unicode else GSM7_SINGLE,
        joined=UCS2_JOINED if is_unicode else GSM7_JOINED,
        costly=[_costly(one, one in hidden, own is None or one in own, is_final) for one in facts.ucs2_characters],
        hidden=[f"U+{ord(one):04X}" for one in hidden],
        forbidden=[f"U+{ord(one):04X}" for one in forbidden_characters(text)],
        good_numbers=len(phones),
        price=_price(account, phones, facts.segment_count),
    )


def _costly(character: str, is_hidden: bool, is_own: bool, is_final: bool) -> Costly:
    name = f"U+{ord(character):04X}" if is_hidden or not character.isprintable() else character
    return Costly(character, name, plain_for(character) if is_own and not is_final else None, is_own)


def _good(numbers: Sequence[str], country: str) -> list[str]:
    good = []
    for number in numbers:
        try:
            good.append(parse_number(number, country))
        except RefusedNumber:
            continue
    return good


def _price(account: Account, phones: Sequence[str], segments: int) -> Decimal | None:
    if not phones or not account.is_metered:
        return None
    prices = PriceList.of(account, phones)
    found = [prices.price_of(phone[1:]) for phone in phones]
    if None in found:
        return None
    return amount_of(segments * sum(price for price in found if price is not None))
