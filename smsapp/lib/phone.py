"""Phone numbers: any spelling in, E.164 with plus out. The verdict is always libphonenumber's.

A number without a plus is first read as a national number of the given country. If that is not valid, it is read again
as an international number: `00` stands for the plus, even where the country dials another prefix, and bare digits such
as `41793026727` get a plus.

If bare digits are a landline when read nationally, they are refused, so that nobody is texted by mistake. There is one
exception: digits that begin with the country's own calling code and are a mobile number after it. Spreadsheets drop the
plus, and German landline numbers may have almost any length, so every `49171…` is also a landline number in Leer.

There are two paths to the same verdict. Most numbers are digits and separators, and `phone_fast` can prove what
libphonenumber would say about them. Whatever is in doubt goes through libphonenumber itself.
"""

import re
from traceback import clear_frames
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

from smsapp.lib.phone_fast import PLANS, Kind, calling_code_of, home_of, kind_of, read_at_home

#: Equal to the values of `uploads.choices.RowReason`.
NOT_A_NUMBER = "not_a_number"
INVALID_NUMBER = "invalid_number"
NOT_MOBILE = "not_mobile"

#: Many plans (all of +1) do not distinguish mobiles from landlines, and VoIP numbers may accept SMS.
TEXTABLE_TYPES = frozenset(
    {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP},
)

# Without the cache a file with numbers from many countries takes eight times as long: patterns are compiled repeatedly.
phonenumbers.enable_pattern_cache()

_PLUSES = ("+", "\uff0b")
_SPREADSHEET_ESCAPES = "'\u2019"
# A spreadsheet's float: without its point, "491711234567.0" would be another person's number.
_FLOAT = re.compile(r"\+?\d{5,}[.,]0+|\d[.,]\d+[eE]\+?\d+").fullmatch
_NOT_DIGITS = re.compile(r"\D+")
_SPACES = re.compile(r"\s+")  # including thin and narrow no-break spaces, which phonenumbers refuses

# Separators that libphonenumber skips between digits, besides ` -./()`. Letters and `#~,;` may begin an extension.
_WIDE_SEPARATORS = dict.fromkeys(map(ord, "\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2212"))
_MAX_LENGTH = 100  # characters; libphonenumber refuses much longer texts
_begins_with_digits = re.compile(r"[1-9]|0[0-9]").match
_has_digit = re.compile(r"\d").search


class RefusedNumber(ValueError):
    """An SMS cannot be sent to this number. `reason` is one of the codes above, `detail` a sentence or empty."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class _Reading(NamedTuple):
    """One way to read a text. `number` is E.164 with plus, and may be empty unless the kind is TEXTABLE."""

    number: str
    kind: Kind
    has_extension: bool = False


def parse_number(raw: str, country: str) -> str:
    """Return the E.164 form, with plus, of a number in any spelling. Raises RefusedNumber.

    `country` (ISO 3166, upper case) decides how numbers without a country code are read.
    """
    plan = PLANS.get(raw[:4])  # found only if the number is already clean
    if plan and plan.is_textable(raw):
        return raw
    return _parse_plain(raw, country) or parse_slowly(raw, country)


def parse_slowly(raw: str, country: str) -> str:
    """Like `parse_number`, by libphonenumber alone."""
    text = raw.strip()
    if not text.isascii():
        text = _SPACES.sub(" ", text)
    _check_float(text)
    first = _read(text, country)
    other = None if first and first.kind == Kind.TEXTABLE else _read_as_international(text)
    return _judge(first, other, country)


def is_country(code: str) -> bool:
    """Return whether national numbers can be read for this ISO 3166 code (upper case)."""
    return code in phonenumbers.SUPPORTED_REGIONS


def countries() -> list[tuple[str, int]]:
    """Return the ISO 3166 code and calling code of every country, in order of their codes."""
    return [(code, phonenumbers.country_code_for_region(code)) for code in sorted(phonenumbers.SUPPORTED_REGIONS)]


def calling_code(number: str) -> str:
    """Return the calling code (`49`) of an E.164 number; empty if there is no such code."""
    return calling_code_of(number.lstrip("+"))


def country_of(number: str) -> str:
    """Return the ISO 3166 code of a number's country; `001` for worldwide numbers, empty if none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except NumberParseException:
        return ""


def country_of_beginning(digits: str) -> str:
    """Return the ISO 3166 code for the first digits of a number, without plus; empty if there is no such calling code.

    If several countries share the calling code, it is the one with most of the numbers.
    """
    filled = f"+{digits.ljust(11, '5')}"
    code = calling_code_of(digits)
    return country_of(filled) or (phonenumbers.region_code_for_country_code(int(code)) if code else "").replace(
        "ZZ", ""
    )


def mask(number: str) -> str:
    """Return `+4917112345627` as `+49*********27`, for logs and people who may not see numbers."""
    digits = _NOT_DIGITS.sub("", number)
    if len(digits) < 5:
        return "*" * len(digits)
    code = calling_code(digits)
    return f"+{code}{'*' * (len(digits) - len(code) - 2)}{digits[-2:]}"


def _judge(first: _Reading | None, other: _Reading | None, country: str) -> str:
    """Choose between the national and the international reading. Raises RefusedNumber."""
    if other is not None:
        home = home_of(country)
        is_own = home is not None and other.number.startswith(home.code)
        if first is None or first.kind == Kind.UNKNOWN or (is_own and other.kind == Kind.TEXTABLE):
            first = other
        elif other.kind == Kind.TEXTABLE:
            raise RefusedNumber(NOT_MOBILE, "if this is an international number, it needs a plus")
    if first is None:
        raise RefusedNumber(NOT_A_NUMBER)
    if first.kind == Kind.UNKNOWN:
        raise RefusedNumber(INVALID_NUMBER)
    if first.has_extension:
        raise RefusedNumber(INVALID_NUMBER, "a number with an extension cannot receive an SMS")
    if first.kind == Kind.OTHER:
        raise RefusedNumber(NOT_MOBILE)
    return first.number


def _check_float(text: str) -> None:
    if _FLOAT(text):
        raise RefusedNumber(NOT_A_NUMBER, "a spreadsheet has turned the number into a decimal")


def _parse_plain(raw: str, country: str) -> str | None:
    """Return the E.164 form of a text of digits and separators; None if it is in doubt. Raises RefusedNumber."""
    if len(raw) > _MAX_LENGTH:
        return None
    if "." in raw:
        _check_float(raw.strip())
    digits = _without_separators(raw)
    number: str | None = digits
    if not digits.startswith("+"):
        if not (digits.isascii() and digits.isdecimal()):
            if not _has_digit(digits):
                raise RefusedNumber(NOT_A_NUMBER)
            return None
        home = home_of(country)
        number = read_at_home(digits, home) if home else None
    kind = kind_of(number) if number else None
    if number is None or kind is None:
        return None
    if kind is Kind.TEXTABLE:
        return number
    return _judge_plain(raw, digits, _Reading(number, kind), country)


def _without_separators(raw: str) -> str:
    """Remove separators and spreadsheet escapes. Chained replace() takes a quarter of the time of translate()."""
    if not raw.isascii():
        raw = raw.replace("\u00a0", "").translate(_WIDE_SEPARATORS)
    text = raw.replace(" ", "").replace("-", "").replace(".", "").replace("/", "").replace("(", "").replace(")", "")
    return text.strip().lstrip(_SPREADSHEET_ESCAPES)


def _judge_plain(raw: str, digits: str, first: _Reading, country: str) -> str | None:
    """Judge a number whose national reading cannot get an SMS; None if in doubt. Raises RefusedNumber."""
    if digits.startswith("+"):
        return _judge(first, None, country)
    if not _begins_with_digits(_bare(raw.strip())):  # the second reading looks at two characters
        return None
    if digits[0] == "0" and digits[1] != "0":
        return _judge(first, None, country)
    number = f"+{digits[2:] if digits[0] == '0' else digits}"
    kind = kind_of(number)
    if kind is None:
        return None
    return _judge(first, _Reading(number, kind) if kind else None, country)


def _bare(text: str) -> str:
    return text.lstrip(_SPREADSHEET_ESCAPES).lstrip("( ")


def _read(text: str, country: str | None) -> _Reading | None:
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException as error:
        clear_frames(error.__traceback__)  # breaks a reference cycle that would keep the frames of all callers alive
        return None
    # A type other than UNKNOWN means a valid number; also calling is_valid_number would double the cost.
    number_type = phonenumbers.number_type(number)
    if number_type not in TEXTABLE_TYPES:
        kind = Kind.UNKNOWN if number_type == PhoneNumberType.UNKNOWN else Kind.OTHER
        return _Reading("", kind, bool(number.extension))
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _Reading(e164, Kind.TEXTABLE, bool(number.extension))


def _read_as_international(text: str) -> _Reading | None:
    """Read a text as if it had a plus; None unless that is a number of some plan."""
    bare = _bare(text)
    if not bare or bare.startswith(_PLUSES):
        return None
    digits = phonenumbers.normalize_digits_only(bare[:2])
    if digits == "00":
        bare = bare[2:]
    elif not digits or digits[0] == "0":
        return None
    reading = _read(f"+{bare}", None)
    return None if reading is None or reading.kind == Kind.UNKNOWN else reading
