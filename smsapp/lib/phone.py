"""Phone numbers: any spelling in, E.164 with plus out. The verdict is always libphonenumber's.

A number without a plus is first read in the country's own way. If that is no valid number, it is read once more
as an international one: `00` is taken for the plus (also where the country dials another prefix), and bare digits
such as `41793026727` get one.

Where the country's way makes a landline of bare digits, that holds (nobody is texted by mistake), with one exception:
digits that begin with the country's own calling code and are a mobile number behind it. Spreadsheets drop the plus,
and in Germany, whose landline numbers may have almost any length, every `49171…` is a landline of Leer as well.

Two ways lead to the same verdict: most numbers are digits and separators, for which `phone_fast` proves what
libphonenumber would say; all that is in doubt there goes the slow way, through libphonenumber itself.
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

#: Many plans (all of +1) do not tell mobiles from landlines, and VoIP numbers may take an SMS: the provider knows.
TEXTABLE_TYPES = frozenset(
    {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP},
)

# Else a file of numbers from everywhere has its patterns compiled again and again, which takes eight times as long.
phonenumbers.enable_pattern_cache()

_PLUSES = ("+", "\uff0b")
_SPREADSHEET_ESCAPES = "'\u2019"
# A spreadsheet's float: read as a number, "491711234567.0" would be ten times another person's number.
_FLOAT = re.compile(r"\+?\d{5,}[.,]0+|\d[.,]\d+[eE]\+?\d+").fullmatch
_NOT_DIGITS = re.compile(r"\D+")
_SPACES = re.compile(r"\s+")  # the thin and narrow no-break spaces of typographers too, which phonenumbers refuses

# What, with ` -./()`, libphonenumber leaves out between digits. Letters and `#~,;` may begin an extension.
_WIDE_SEPARATORS = dict.fromkeys(map(ord, "\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2212"))
_MAX_LENGTH = 100  # characters; libphonenumber refuses what is much longer
_begins_with_digits = re.compile(r"[1-9]|0[0-9]").match
_has_digit = re.compile(r"\d").search


class RefusedNumber(ValueError):
    """Not a number an SMS can go to. `reason` is one of the codes above, `detail` a sentence or empty."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class _Reading(NamedTuple):
    """What a text may stand for. `number` in E.164, with plus; left out where nobody needs it."""

    number: str
    kind: Kind
    has_extension: bool = False


def parse_number(raw: str, country: str) -> str:
    """The E.164 form, with plus, of a number written in any way; raises RefusedNumber.

    `country` is the ISO 3166 code in upper case whose rules numbers without a country code follow.
    """
    plan = PLANS.get(raw[:4])  # of a clean number; those of others have no such head
    if plan and plan.is_textable(raw):
        return raw
    return _parse_plain(raw, country) or parse_slowly(raw, country)


def parse_slowly(raw: str, country: str) -> str:
    """What `parse_number` gives, from libphonenumber alone."""
    text = raw.strip()
    if not text.isascii():
        text = _SPACES.sub(" ", text)
    _check_float(text)
    first = _read(text, country)
    other = None if first and first.kind == Kind.TEXTABLE else _read_as_international(text)
    return _judge(first, other, country)


def is_country(code: str) -> bool:
    """Whether numbers can be read in the context of this ISO 3166 code (upper case)."""
    return code in phonenumbers.SUPPORTED_REGIONS


def countries() -> list[tuple[str, int]]:
    """ISO 3166 codes of all countries with numbers, in order, with their calling codes."""
    return [(code, phonenumbers.country_code_for_region(code)) for code in sorted(phonenumbers.SUPPORTED_REGIONS)]


def calling_code(number: str) -> str:
    """The country calling code (`49`) of an E.164 number, or an empty string if there is no such code."""
    return calling_code_of(number.lstrip("+"))


def country_of(number: str) -> str:
    """ISO 3166 code of an E.164 number's country; `001` for world-wide numbers; empty if it has none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except NumberParseException:
        return ""


def country_of_beginning(digits: str) -> str:
    """ISO 3166 code for the first digits of numbers, without plus: that with most of the numbers, where several
    countries share a calling code; empty where there is no such code."""
    filled = f"+{digits.ljust(11, '5')}"
    code = calling_code_of(digits)
    return country_of(filled) or (phonenumbers.region_code_for_country_code(int(code)) if code else "").replace(
        "ZZ", ""
    )


def mask(number: str) -> str:
    """`+4917112345627` as `+49*********27`: for logs and for those who may not see the whole number."""
    digits = _NOT_DIGITS.sub("", number)
    if len(digits) < 5:
        return "*" * len(digits)
    code = calling_code(digits)
    return f"+{code}{'*' * (len(digits) - len(code) - 2)}{digits[-2:]}"


def _judge(first: _Reading | None, other: _Reading | None, country: str) -> str:
    """Between the country's own reading and the international one: the E.164 form, or RefusedNumber."""
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
    """The verdict on a text of digits and separators, or None when it is in doubt."""
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
    """Also without what may stand in front of a number. Chains of replace() take a quarter of translate()'s time."""
    if not raw.isascii():
        raw = raw.replace("\u00a0", "").translate(_WIDE_SEPARATORS)
    text = raw.replace(" ", "").replace("-", "").replace(".", "").replace("/", "").replace("(", "").replace(")", "")
    return text.strip().lstrip(_SPREADSHEET_ESCAPES)


def _judge_plain(raw: str, digits: str, first: _Reading, country: str) -> str | None:
    """The verdict on what is not to be texted as the country reads it; None when it is in doubt."""
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
    """A text without what may stand in front of its digits, for the second reading."""
    return text.lstrip(_SPREADSHEET_ESCAPES).lstrip("( ")


def _read(text: str, country: str | None) -> _Reading | None:
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException as error:
        clear_frames(error.__traceback__)  # one of them holds an exception that holds the frames of all callers
        return None
    # A type other than UNKNOWN is exactly what is_valid_number asks, at half the price of asking both.
    number_type = phonenumbers.number_type(number)
    if number_type not in TEXTABLE_TYPES:
        kind = Kind.UNKNOWN if number_type == PhoneNumberType.UNKNOWN else Kind.OTHER
        return _Reading("", kind, bool(number.extension))
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _Reading(e164, Kind.TEXTABLE, bool(number.extension))


def _read_as_international(text: str) -> _Reading | None:
    """A number of some plan, or None."""
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
