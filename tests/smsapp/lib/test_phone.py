"""Numbers: any spelling in, E.164 out, and libphonenumber's verdict always."""

import contextlib
import gc
import random

import phonenumbers
import pytest
from phonenumbers import NumberParseException, PhoneNumberType

from smsapp.lib import phone
from smsapp.lib.phone import INVALID_NUMBER, NOT_A_NUMBER, NOT_MOBILE, RefusedNumber, parse_number
from uploads.choices import RowReason

GERMAN = "+491713920012"


@pytest.mark.parametrize(
    ("raw", "country"),
    [
        ("+491713920012", "DE"),
        ("00491713920012", "DE"),
        ("0171 3920012", "DE"),
        ("0171/39 200-12", "DE"),
        ("(0171) 39 200.12", "DE"),
        ("(+49) 171 3920012", "DE"),
        ("+49 (0)171 3920012", "DE"),
        ("  +49 171 3920012\t", "DE"),
        ("+49\u00a0171\u00a03920012", "DE"),
        ("+49\u2009171\u20113920012", "DE"),
        ("０１７１３９２００１２", "DE"),
        ("＋４９１７１３９２００１２", "DE"),
        ("'+491713920012", "DE"),
        ("'01713920012", "DE"),
        ("\u202a+491713920012\u202c", "DE"),
        ("tel:+491713920012", "DE"),
        ("00491713920012", "US"),
        ("(0049) 171 3920012", "US"),
        ("'0049 171 3920012", "US"),
        ("011491713920012", "US"),
        ("491713920012", "US"),
        ("４９１７１３９２００１２", "US"),
        ("491713920012", "DE"),
    ],
)
def test_every_common_spelling_gives_the_same_number(raw: str, country: str) -> None:
    assert parse_number(raw, country) == GERMAN


@pytest.mark.parametrize(
    ("raw", "country", "reason"),
    [
        ("", "DE", NOT_A_NUMBER),
        ("n/a", "DE", NOT_A_NUMBER),
        ("+", "DE", NOT_A_NUMBER),
        ("00", "DE", NOT_A_NUMBER),
        ("+999 123 456 789", "DE", NOT_A_NUMBER),
        ("0171 3920012, 0172 9925904", "DE", NOT_A_NUMBER),
        ("4.91714E+11", "DE", NOT_A_NUMBER),
        ("491713920012.0", "DE", NOT_A_NUMBER),
        ("+49 171 39", "DE", INVALID_NUMBER),
        ("+1 555 555 5555", "DE", INVALID_NUMBER),
        ("0171 3920012 ext. 5", "DE", INVALID_NUMBER),
        ("+491713920012;ext=7", "DE", INVALID_NUMBER),
        ("030 23125001", "DE", NOT_MOBILE),
        ("+44 20 7946 0018", "DE", NOT_MOBILE),
        ("0800 1234567", "DE", NOT_MOBILE),
        ("0900 1123456", "DE", NOT_MOBILE),
        ("+1 800 555 0100", "US", NOT_MOBILE),
        ("1" * 5000, "DE", NOT_A_NUMBER),
    ],
)
def test_what_cannot_take_an_sms_is_refused_with_its_reason(raw: str, country: str, reason: str) -> None:
    with pytest.raises(RefusedNumber) as refusal:
        parse_number(raw, country)
    assert refusal.value.reason == reason


def test_a_number_valid_at_home_is_not_taken_for_an_international_one() -> None:
    # A landline in Winsen (04179) or a Swiss mobile: with the country's own reading first, no stranger is texted.
    with pytest.raises(RefusedNumber, match=NOT_MOBILE) as refusal:
        parse_number("41793026727", "DE")
    assert "plus" in refusal.value.detail
    assert parse_number("41793026727", "US") == "+41793026727"


def test_a_number_that_may_be_either_landline_or_mobile_is_accepted() -> None:
    assert parse_number("(201) 555-0100", "US") == "+12015550100"


def test_reasons_are_those_of_rows() -> None:
    assert {NOT_A_NUMBER, INVALID_NUMBER, NOT_MOBILE} <= set(RowReason.values)


def test_verdicts_equal_libphonenumbers_for_random_numbers() -> None:
    chance = random.Random(7)
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    verdicts = {True: 0, False: 0}
    for _ in range(3000):
        example = phonenumbers.example_number_for_type(chance.choice(regions), chance.choice((0, 1, 2, 3, 6, 10)))
        digits = phonenumbers.national_significant_number(example) if example else str(chance.randrange(10**9))
        national = "".join(chance.choice("0123456789") if chance.random() < 0.15 else digit for digit in digits)
        raw = f"+{example.country_code if example else chance.randrange(1, 999)}{national}"
        try:
            number = phonenumbers.parse(raw)
            expected = phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in phone.TEXTABLE_TYPES
        except NumberParseException:
            expected = False
        try:
            assert parse_number(raw, "DE") == phonenumbers.format_number(number, 0)
            assert expected, raw
        except RefusedNumber:
            assert not expected, raw
        verdicts[expected] += 1
    assert min(verdicts.values()) > 300


def test_a_known_type_is_what_validity_means() -> None:
    """`parse_number` asks for the type only, because the library would work out the same twice."""
    chance = random.Random(3)
    codes = list(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    for _ in range(3000):
        number = phonenumbers.PhoneNumber(chance.choice(codes), chance.randrange(10**6, 10**10))
        known = phonenumbers.number_type(number) != PhoneNumberType.UNKNOWN
        assert known == phonenumbers.is_valid_number(number), number


@pytest.mark.parametrize(
    ("number", "masked"),
    [(GERMAN, "+49********12"), ("+12015550100", "+1********00"), ("+882161234567", "+882*******67"), ("12", "**")],
)
def test_a_masked_number_keeps_country_code_and_last_two_digits(number: str, masked: str) -> None:
    assert phone.mask(number) == masked


def test_country_and_calling_code_of_a_number() -> None:
    assert (phone.country_of(GERMAN), phone.calling_code(GERMAN)) == ("DE", "49")
    assert (phone.country_of("+12042345678"), phone.calling_code("+12042345678")) == ("CA", "1")
    assert (phone.country_of("+882161234567"), phone.calling_code("+999123")) == ("001", "")
    assert phone.country_of("nonsense") == ""
    assert [code for code in ("DE", "XX", "de", "") if phone.is_country(code)] == ["DE"]


@pytest.mark.parametrize("raw", ["+999123456", "+490abc", "++49", "0049 171", "12ab"])
def test_a_refused_number_leaves_nothing_for_the_garbage_collector(raw: str) -> None:
    with pytest.raises(RefusedNumber):
        parse_number(raw, "DE")  # what is made once only
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(RefusedNumber):
            parse_number(raw, "DE")
        assert gc.collect() == 0
    finally:
        gc.enable()
