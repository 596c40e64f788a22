"""The fast way to a verdict and libphonenumber alone agree, on every number and every reason.

`NUMBERS=200000` compares so many numbers of each kind: of a file, random, and mutated from valid ones.
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata, PhoneNumberDesc, PhoneNumberType, phonenumberutil

from smsapp.lib import phone
from smsapp.lib.phone import RefusedNumber, parse_number, parse_slowly
from smsapp.lib.phone_fast import Kind, Plan
from tests.data import make_customers

NUMBERS = int(os.environ.get("NUMBERS", "7000"))
COUNTRIES = (
    *("DE", "US", "GB", "IT", "BR", "CH", "RU", "MX", "AR", "IN", "CN", "JP", "KR", "FR", "HU", "BY", "KZ", "CA"),
    *("AU", "NZ", "GG", "SM", "LI", "UY", "CR", "SG", "TR", "SE", "MG", "XX"),
)
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
DIGITS = "0123456789"
SEPARATORS = (" ", " ", "-", ".", "/", "(", ")", "\u00a0", "\u2009", "\u2011")
STRANGE = ("\t", "x", "~", "#", ",", ";", "*", "[", "'", "a", "+", "\u3000", "４", "²")
WIDE = str.maketrans(DIGITS, "０１２３４５６７８９")
FORMS = (
    *("+{code}{national}", "00{code}{national}", "0{national}", "{national}", "{code}{national}", "1{national}"),
    *("8{national}", "06{national}", "011{code}{national}", "810{code}{national}", "+{code}0{national}"),
    *("+0{code}{national}", "++{code}{national}", "'+{code}{national}", "'{code}{national}", "(0){national}"),
    *("000{code}{national}", "+{code}{national}.00", "{code}{national}.0", "+{code}{national};ext=7"),
)


def of_a_file(chance: random.Random) -> str:
    kind = chance.randrange(100)
    if kind < 90:
        return make_customers.spelled(*make_customers.number(chance.randrange(10**6), seed=3), chance.randrange(9))
    return chance.choice(make_customers.INVALID + make_customers.NOT_NUMBERS + make_customers.LANDLINES)


def at_random(chance: random.Random) -> str:
    if chance.random() < 0.2:
        return "".join(chance.choice((*DIGITS, "+", *SEPARATORS, *STRANGE)) for _ in range(chance.randrange(18)))
    national = "".join(chance.choices(DIGITS, k=chance.randrange(1, 15)))
    return _written(chance.choice(CODES), national, chance)


def mutated(chance: random.Random) -> str:
    example = phonenumbers.example_number_for_type(chance.choice(REGIONS), chance.choice((1, 1, 1, *range(11))))
    if example is None:
        return at_random(chance)
    digits = phonenumbers.national_significant_number(example)
    changes = chance.choice((0.05, 0.5))
    national = digits[:2] + "".join(
        chance.choice(DIGITS) if chance.random() < changes else digit for digit in digits[2:]
    )
    national = chance.choice((national, national, national, national[:-1], national + "7", f"0{national}"))
    return _written(example.country_code, national, chance)


def _written(code: int, national: str, chance: random.Random) -> str:
    text = chance.choice((FORMS[0], *FORMS)).format(code=code, national=national)
    if chance.random() < 0.05:
        return text[:5] + text[5:].translate(WIDE)
    if chance.random() < 0.4:
        return text
    between = (*SEPARATORS, *STRANGE) if chance.random() < 0.1 else SEPARATORS
    return "".join(f"{chance.choice(between)}{digit}" if chance.random() < 0.2 else digit for digit in text)


def verdict(parse: Callable[[str, str], str], raw: str, country: str) -> str | tuple[str, str]:
    try:
        return parse(raw, country)
    except RefusedNumber as refusal:
        return refusal.reason, refusal.detail


@pytest.mark.parametrize("write", [of_a_file, at_random, mutated])
def test_both_roads_give_the_same_number_or_the_same_reason(write: Callable[[random.Random], str]) -> None:
    chance = random.Random(NUMBERS)
    reasons: Counter[str] = Counter()
    for _ in range(NUMBERS):
        raw, country = write(chance), chance.choice(COUNTRIES)
        found = verdict(parse_number, raw, country)
        assert found == verdict(parse_slowly, raw, country), (raw, country)
        reasons[found[0]] += 1
    assert set(reasons) == {"+", phone.NOT_A_NUMBER, phone.INVALID_NUMBER, phone.NOT_MOBILE}
    assert min(reasons.values()) > NUMBERS / 200


def a_region(chance: random.Random) -> PhoneMetadata:
    """A numbering plan nobody has: its types overlap, so the order in which they are asked for matters."""

    def description() -> PhoneNumberDesc | None:
        lengths = tuple(sorted(chance.sample((3, 4, 5), chance.randrange(4))))
        pattern = chance.choice((r"1\d{2,3}", r"[12]\d{2,4}", r"\d{3}|2\d{4}", r"[0-24]\d+", r"13\d*", None))
        return chance.choice((None, PhoneNumberDesc(national_number_pattern=pattern, possible_length=lengths)))

    types = {
        name: description()
        for name in (
            "fixed_line",
            "mobile",
            "voip",
            "toll_free",
            "premium_rate",
            "pager",
            "shared_cost",
            "personal_number",
            "uan",
            "voicemail",
        )
    }
    general = PhoneNumberDesc(national_number_pattern=chance.choice((r"\d+", r"[12]\d{2,4}")))
    leading = chance.choice((None, None, "1|22", "[24]"))
    return PhoneMetadata("XX", general_desc=general, leading_digits=leading, register=False, **types)


def kind_in(regions: list[PhoneMetadata], national: str) -> Kind:
    """As libphonenumber finds the region of a number, and then its type."""
    for region in regions:
        number_type = phonenumberutil._number_type_helper(national, region)
        is_known = number_type != PhoneNumberType.UNKNOWN
        if re.match(region.leading_digits, national) if region.leading_digits else is_known:
            return Kind.TEXTABLE if number_type in phone.TEXTABLE_TYPES else Kind(is_known)
    return Kind.UNKNOWN


def test_any_metadata_is_read_as_libphonenumber_reads_it() -> None:
    chance = random.Random(5)
    kinds: Counter[Kind] = Counter()
    for _ in range(400):
        regions = [a_region(chance) for _ in range(chance.randrange(1, 4))]
        plan = Plan(regions, r"\+999")
        for length in (1, 2, 3, 4, 5) * 4:
            national = f"{chance.randrange(5)}{chance.randrange(10**length):0{length}}"
            textable, read = plan.is_textable(f"+999{national}"), plan.read(f"+999{national}")
            found = Kind.TEXTABLE if textable else Kind(bool(read and read["other"]))
            assert found == kind_in(regions, national), (regions, national)
            kinds[found] += 1
    assert min(kinds.values()) > 300


@pytest.mark.parametrize("region", REGIONS)
def test_both_roads_agree_on_every_kind_of_number_of_a_region(region: str) -> None:
    for number_type in phonenumbers.PhoneNumberType.values():
        example = phonenumbers.example_number_for_type(region, number_type)
        if example is None:
            continue
        e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
        digits, code = e164[1:], str(example.country_code)
        local = [f"{start}{digits[-length:]}" for length in range(4, 9) for start in ("", "0", code, f"+{code}")]
        for raw in (e164, national, digits, f"00{digits}", e164[:-1], f"{e164}0", f"{code}0{digits}", *local):
            assert verdict(parse_number, raw, region) == verdict(parse_slowly, raw, region), raw


@pytest.mark.parametrize("country", COUNTRIES)
def test_both_roads_agree_on_short_and_long_texts(country: str) -> None:
    for digits in (*map(str, range(0, 3000, 7)), "1" * 17, "1" * 18, "49" + "1" * 16, "0" * 12):
        for raw in (digits, f"+{digits}", f"00{digits}", " - ".join(digits), f"({digits})", f"+49{digits}"):
            assert verdict(parse_number, raw, country) == verdict(parse_slowly, raw, country), raw
    for raw in (f"+49{' ' * 300}1713920012", f"0171{'-' * 245}3920012", "1" * 5000):
        assert verdict(parse_number, raw, country) == verdict(parse_slowly, raw, country)


@pytest.mark.parametrize(
    "raw",
    [
        *("+491713920012", "+49 171 39-200.12", "(+49) 171/3920012", "+49\u00a0171\u00a03920012", "'+491713920012"),
        *("0171 3920012", "(0171) 39 200 12", "171 3920012", "0049 171 3920012", "491713920012", "+1 (201) 555-0100"),
        *("+49 171 39", "+49 30 23125001", "030 23125001", "n/a", "-", ""),
    ],
)
def test_common_spellings_need_no_libphonenumber(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = verdict(parse_slowly, raw, "DE")
    monkeypatch.setattr(phone, "parse_slowly", lambda raw, country: pytest.fail(f"asked about {raw}"))
    assert verdict(parse_number, raw, "DE") == expected
