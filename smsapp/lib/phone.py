"""Phone numbers: any spelling in, E.164 with plus out. The verdict is always libphonenumber's.

A number without a plus is first read in the country's own way. If that is no valid number, it is read once more
as an international one: `00` is taken for the plus (also where the country dials another prefix), and bare digits
such as `41793026727` get one.

Where the country's way makes a landline of bare digits, that holds (nobody is texted by mistake), with one exception:
digits that begin with the country's own calling code and are a mobile number behind it. Spreadsheets drop the plus,
and in Germany, whose landline numbers may have almost any length, every `49171…` is a landline of Leer as well.
"""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType

#: Equal to the values of `uploads.choices.RowReason`.
NOT_A_NUMBER = "not_a_number"
INVALID_NUMBER = "invalid_number"
NOT_MOBILE = "not_mobile"

#: Many plans (all of +1) do not tell mobiles from landlines, and VoIP numbers may take an SMS: the provider knows.
TEXTABLE_TYPES = frozenset(
    {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP},
)

_PLUSES = ("+", "\uff0b")
_SPREADSHEET_ESCAPES = ("'", "\u2019")
# A spreadsheet's float: read as a number, "491711234567.0" would be ten times another person's number.
_FLOAT = re.compile(r"\+?\d{5,}[.,]0+|\d[.,]\d+[eE]\+?\d+").fullmatch
_NOT_DIGITS = re.compile(r"\D+")
_SPACES = re.compile(r"\s+")  # the thin and narrow no-break spaces of typographers too, which phonenumbers refuses


class RefusedNumber(ValueError):
    """Not a number an SMS can go to. `reason` is one of the codes above, `detail` a sentence or empty."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def parse_number(raw: str, country: str) -> str:
    """The E.164 form, with plus, of a number written in any way; raises RefusedNumber.

    `country` is the ISO 3166 code in upper case whose rules numbers without a country code follow.
    """
    text = raw.strip()
    if not text.isascii():
        text = _SPACES.sub(" ", text)
    if _FLOAT(text):
        raise RefusedNumber(NOT_A_NUMBER, "a spreadsheet has turned the number into a decimal")
    number, number_type = _read(text, country)
    if number_type not in TEXTABLE_TYPES and (other := _read_as_international(text)):
        is_own = phonenumbers.country_code_for_region(country) == other[0].country_code
        if number_type == PhoneNumberType.UNKNOWN or (is_own and other[1] in TEXTABLE_TYPES):
            number, number_type = other
        elif other[1] in TEXTABLE_TYPES:
            raise RefusedNumber(NOT_MOBILE, "if this is an international number, it needs a plus")
    if number is None:
        raise RefusedNumber(NOT_A_NUMBER)
    if number_type == PhoneNumberType.UNKNOWN:
        raise RefusedNumber(INVALID_NUMBER)
    if number.extension:
        raise RefusedNumber(INVALID_NUMBER, "a number with an extension cannot receive an SMS")
    if number_type not in TEXTABLE_TYPES:
        raise RefusedNumber(NOT_MOBILE)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_country(code: str) -> bool:
    """Whether numbers can be read in the context of this ISO 3166 code (upper case)."""
    return code in phonenumbers.SUPPORTED_REGIONS


def calling_code(number: str) -> str:
    """The country calling code (`49`) of an E.164 number, or an empty string if there is no such code."""
    digits = number.lstrip("+")
    for length in (1, 2, 3):
        if len(digits) >= length and int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length]
    return ""


def country_of(number: str) -> str:
    """ISO 3166 code of an E.164 number's country; `001` for world-wide numbers; empty if it has none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except NumberParseException:
        return ""


def mask(number: str) -> str:
    """`+4917112345627` as `+49*********27`: for logs and for those who may not see the whole number."""
    digits = _NOT_DIGITS.sub("", number)
    if len(digits) < 5:
        return "*" * len(digits)
    code = calling_code(digits)
    return f"+{code}{'*' * (len(digits) - len(code) - 2)}{digits[-2:]}"


def _read(text: str, country: str | None) -> tuple[PhoneNumber | None, int]:
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return None, PhoneNumberType.UNKNOWN
    # A type other than UNKNOWN is exactly what is_valid_number asks, at half the price of asking both.
    return number, phonenumbers.number_type(number)


def _read_as_international(text: str) -> tuple[PhoneNumber, int] | None:
    bare = text.lstrip("".join(_SPREADSHEET_ESCAPES)).lstrip("( ")
    if not bare or bare.startswith(_PLUSES):
        return None
    digits = phonenumbers.normalize_digits_only(bare[:2])
    if digits == "00":
        bare = bare[2:]
    elif not digits or digits[0] == "0":
        return None
    number, number_type = _read(f"+{bare}", None)
    return None if number is None or number_type == PhoneNumberType.UNKNOWN else (number, number_type)
