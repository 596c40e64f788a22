"""libphonenumber's answers for plain digits, many times faster: its metadata compiled into a few regular expressions.

Whatever cannot be proven here is in doubt (None), and the caller asks libphonenumber itself. The patterns are built
from the installed metadata when a country is first used, so a new version of the library changes both in the same way.

A *number* is a plus and ASCII digits, such as `+491713920012`. It is in doubt only if libphonenumber might remove a
national prefix after the calling code, as in `+490171…`. Patterns end with `\\Z` because `$` allows a line break.
"""

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache, cached_property
from typing import Any, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata

Matcher = Callable[[str], re.Match[str] | None]

#: Types that libphonenumber tries before VoIP, and before landlines and mobiles.
_BEFORE_VOIP = ("premium_rate", "toll_free", "shared_cost")
_BEFORE_MOBILE = ("personal_number", "pager", "uan", "voicemail")
_NEVER = "(?!)"
_LENGTHS = "2,17"  # digits of a national number that libphonenumber reads at all


class Kind(IntEnum):
    """UNKNOWN: not in any plan. OTHER: a landline or service number. TEXTABLE: mobile, mobile or landline, or VoIP."""

    UNKNOWN = 0
    OTHER = 1
    TEXTABLE = 2


class Plan:
    """A calling code's numbering plan."""

    def __init__(self, regions: Sequence[Any], start: str) -> None:
        """`start` is the pattern of whatever comes before the national number."""
        self.is_textable = _matcher(start + _in_first_region(regions, _textable))
        self._other_or_sure = rf"{start}(?:(?P<other>{_in_first_region(regions, _other)})|\d{{{_LENGTHS}}}\Z)"

    @cached_property
    def read(self) -> Matcher:
        """Match a number that is not textable, unless it is in doubt; the group `other` is set if it has a type."""
        return _matcher(self._other_or_sure)


class Home(NamedTuple):
    """How digits without a plus are read in a country."""

    code: str  # with plus
    is_plain: Matcher  # nothing before the `national` number, except perhaps the usual national prefix
    international_prefix: Matcher
    national_prefix: Matcher
    rewrites: bool  # the national prefix may be replaced, not only removed
    is_general: Matcher
    is_possible: Matcher  # general, and of a possible length
    longest: int


class _Plans(dict[str, Plan]):
    """Plans by the first four characters of a number. An unknown calling code has a plan that matches nothing."""

    def __missing__(self, head: str) -> Plan:
        code = calling_code_of(head[1:]) if re.fullmatch(r"\+[0-9]{3}", head) else ""
        if not code:
            return _NO_PLAN  # not kept: untrusted input has any number of such beginnings
        plan = self[head] = _plan(code)
        return plan


def calling_code_of(digits: str) -> str:
    """Return the calling code that digits begin with, or an empty string. No code is the beginning of another."""
    if digits.startswith("0"):
        return ""
    for length in (1, 2, 3):
        if len(digits) >= length and int(digits[:length]) in COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length]
    return ""


def kind_of(number: str) -> Kind | None:
    """Return the kind of a number; None if it is in doubt."""
    plan = PLANS[number[:4]]
    if plan.is_textable(number):
        return Kind.TEXTABLE
    if read := plan.read(number):
        return Kind.OTHER if read["other"] else Kind.UNKNOWN
    return None


def read_at_home(digits: str, home: Home) -> str | None:
    """Return the number that digits reach when dialled in a country; None if it is in doubt."""
    if plain := home.is_plain(digits):
        return home.code + plain["national"]
    if dialled := home.international_prefix(digits):
        return f"+{digits[dialled.end() :]}"  # a zero may follow, which is not a number: +0 is always in doubt
    code = home.code[1:]
    if digits.startswith(code):
        national = digits[len(code) :]
        if (prefix := home.national_prefix(national)) and prefix.end():
            return None
        if len(digits) > home.longest or (home.is_general(national) and not home.is_general(digits)):
            return f"+{digits}"
    if (prefix := home.national_prefix(digits)) and prefix.end():
        digits = digits[prefix.end() :]
        if home.rewrites or not home.is_possible(digits):
            return None
    return home.code + digits


@cache
def home_of(country: str) -> Home | None:
    """Return the rules of a country (ISO 3166, upper case); None if there is no such country."""
    if country not in SUPPORTED_REGIONS:
        return None
    metadata: Any = PhoneMetadata.metadata_for_region(country)
    general = metadata.general_desc
    return Home(
        code=f"+{metadata.country_code}",
        is_plain=_matcher(_plain_at_home(metadata)),
        international_prefix=_matcher(metadata.international_prefix or _NEVER),
        national_prefix=_matcher(metadata.national_prefix_for_parsing or _NEVER),
        rewrites=bool(metadata.national_prefix_transform_rule),
        is_general=_matcher(rf"(?:{general.national_number_pattern})\Z"),
        is_possible=_matcher(_described(general)),
        longest=max((*general.possible_length, *general.possible_length_local_only)),
    )


def _plain_at_home(home: Any) -> str:
    """Return the pattern of national digits whose national prefix, if any, is unambiguous.

    The national prefix is a pattern and may match in several ways. It is unambiguous if it ends right after the usual
    prefix (`0` in most countries) and nowhere else. Otherwise there must be no prefix at all.
    """
    prefix, usual = home.national_prefix_for_parsing or _NEVER, home.national_prefix
    start = rf"(?!(?:{prefix})(?<!\A))"
    if usual and not home.national_prefix_transform_rule:
        start = rf"(?:(?=(?:{prefix})(?<=\A{usual}))(?!(?:{prefix})(?<!\A{usual})){usual}|{start})"
    not_abroad = f"(?!{home.international_prefix or _NEVER})(?!{home.country_code})"
    return f"{not_abroad}{start}(?P<national>{_described(home.general_desc)})"


@cache
def _plan(code: str) -> Plan:
    regions = _regions(int(code))
    prefix = regions[0].national_prefix_for_parsing or _NEVER
    start = rf"\+{code}(?!(?:{prefix})(?<!\+{code}))"  # an empty prefix match leaves the calling code right before it
    return Plan(regions, start)


def _regions(code: int) -> list[Any]:
    """Return the metadata of a calling code's regions, the main one first."""
    found = COUNTRY_CODE_TO_REGION_CODE[code]
    return [PhoneMetadata.metadata_for_region_or_calling_code(code, region) for region in found]


def _in_first_region(regions: Sequence[Any], asked: Callable[[Any], str]) -> str:
    """Ask about a number's region: the first with its leading digits or, if it has none, its type."""
    pattern = _NEVER
    for region in reversed(regions):
        if region.leading_digits is not None:
            leading = f"(?:{region.leading_digits})"
            pattern = f"(?:(?={leading}){asked(region)}|(?!{leading}){pattern})"
        elif asked is _other:
            pattern = f"(?:{asked(region)}|{pattern})"
        else:
            pattern = f"(?:{asked(region)}|(?!{_other(region)}){pattern})"
    return pattern


def _textable(region: Any) -> str:
    mobile = region.fixed_line if region.same_mobile_and_fixed_line_pattern else region.mobile
    is_mobile = f"(?={_described(mobile)}){_none_of(region, _BEFORE_MOBILE)}"
    is_voip = f"(?={_described(region.voip)})"
    return f"(?:{is_mobile}|{is_voip}){_none_of(region, _BEFORE_VOIP)}{_described(region.general_desc)}"


def _other(region: Any) -> str:
    """Return the pattern of any type. VoIP and mobile are left out: textable numbers are ruled out before."""
    landline = () if region.same_mobile_and_fixed_line_pattern else ("fixed_line",)
    types = "|".join(_described(getattr(region, name)) for name in (*_BEFORE_VOIP, *_BEFORE_MOBILE, *landline))
    return f"(?:(?={types}){_described(region.general_desc)})"


def _none_of(region: Any, names: Sequence[str]) -> str:
    return "".join(f"(?!{_described(getattr(region, name))})" for name in names)


def _described(description: Any) -> str:
    """Return the pattern of a description: its digits, where most numbers fail, then its lengths."""
    if description is None or not description.national_number_pattern:
        return _NEVER
    return rf"(?:(?=(?:{description.national_number_pattern})\Z)(?:{_of_length(description.possible_length)})\Z)"


def _of_length(lengths: Sequence[int]) -> str:
    """Return the pattern of digits of one of these lengths, or of any length if there are none. -1 matches nothing."""
    if not lengths:
        return r"\d*"
    if tuple(lengths) == tuple(range(lengths[0], lengths[-1] + 1)) and lengths[0] > 0:
        return rf"\d{{{lengths[0]},{lengths[-1]}}}"
    return "|".join(rf"\d{{{length}}}" if length > 0 else _NEVER for length in lengths)


def _matcher(pattern: str) -> Matcher:
    return re.compile(pattern, re.ASCII).match


_NO_PLAN = Plan((), _NEVER)
PLANS = _Plans()
