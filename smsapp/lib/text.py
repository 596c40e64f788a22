"""What a text costs: its encoding and segments, and the characters that raise the price or are forbidden.

One character outside the GSM alphabet (a backtick, a no-break space, `ç`) turns the whole message into UCS-2 and more
than doubles its price. Extension characters take two septets, characters above U+FFFF two UCS-2 units. Neither is ever
split between segments, so a text may need more segments than its units divided by the segment size.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

MAX_TEXT_LENGTH = 1600  # characters

GSM7 = "gsm7"
UCS2 = "ucs2"

#: Units in a single message, and in each segment of a longer one (the rest is the header that joins the segments).
GSM7_SINGLE, GSM7_JOINED = 160, 153
UCS2_SINGLE, UCS2_JOINED = 70, 67

GSM7_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = "\f^{}\\[~]|€"

#: Typographic characters and their equivalents in the GSM alphabet.
_PLAIN = {
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‘’‚‛′`´‹›", "'"),
    **dict.fromkeys("–—‐‑‒―−•·", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\t", " "),
    "…": "...",
    "×": "x",
    "™": "TM",
    "©": "(c)",
    "®": "(R)",
    "½": "1/2",
    "¼": "1/4",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "ß": "ß",
    "ç": "Ç",
    "º": "o",
    "ª": "a",
}

_find_beyond_basic = re.compile(f"[^{re.escape(GSM7_BASIC)}]").search
_is_gsm7 = re.compile(f"[{re.escape(GSM7_BASIC + GSM7_EXTENSION)}]*").fullmatch
_GSM7_CHARACTERS = frozenset(GSM7_BASIC + GSM7_EXTENSION)
_EXTENSION_CHARACTERS = frozenset(GSM7_EXTENSION)

# Control characters and lone surrogates. `normalise` replaces tabs with spaces: GSM has no tab, and handsets differ in
# how they show one.
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# Zero-width characters, soft hyphen, direction marks and overrides, line separators, byte order mark.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]"
)


@dataclass(frozen=True, slots=True)
class TextFacts:
    """`unit_count` is in septets (gsm7) or 16-bit units (ucs2); `units_left` is the space left in the last segment.

    `ucs2_characters` are the distinct characters that force UCS-2, in order of appearance.
    """

    encoding: str
    unit_count: int
    segment_count: int
    units_left: int
    ucs2_characters: tuple[str, ...]


def analyse(text: str) -> TextFacts:
    """Return the facts about a final text. An empty text is one segment, as providers bill it."""
    if _is_gsm7(text):
        widths = [2 if character in _EXTENSION_CHARACTERS else 1 for character in text]
        segments, left = _fill(widths, GSM7_SINGLE, GSM7_JOINED)
        return TextFacts(GSM7, sum(widths), segments, left, ())
    widths = [2 if character > "\uffff" else 1 for character in text]
    segments, left = _fill(widths, UCS2_SINGLE, UCS2_JOINED)
    forcing = tuple(dict.fromkeys(character for character in text if character not in _GSM7_CHARACTERS))
    return TextFacts(UCS2, sum(widths), segments, left, forcing)


def segment_count(text: str) -> int:
    """Return `analyse(text).segment_count`, faster."""
    length = len(text)
    beyond = _find_beyond_basic(text)
    if beyond is None:
        return 1 if length <= GSM7_SINGLE else -(-length // GSM7_JOINED)
    if beyond.group() in GSM7_EXTENSION and _is_gsm7(text):
        units = length + sum(map(text.count, GSM7_EXTENSION))
        return 1 if units <= GSM7_SINGLE else analyse(text).segment_count
    utf16 = text.encode("utf-16-le", "surrogatepass")
    units = len(utf16) // 2
    if units <= UCS2_SINGLE:
        return 1
    return -(-length // UCS2_JOINED) if units == length else _joined_by_pairs(utf16)


def encoding_of(text: str) -> str:
    return GSM7 if _is_gsm7(text) else UCS2


def plain_for(character: str) -> str | None:
    """Return a GSM replacement for a character, such as a straight quote for a curly one.

    Invisible characters are replaced with an empty string. None if there is no replacement.
    """
    if _INVISIBLE.match(character):
        return ""
    plain = _PLAIN.get(character) or unicodedata.normalize("NFKD", character)[:1]
    return plain if plain != character and _is_gsm7(plain) else None


def forbidden_characters(text: str) -> list[str]:
    """Return the distinct control characters (except newline) and lone surrogates of a normalised text."""
    return list(dict.fromkeys(_FORBIDDEN.findall(text)))


def invisible_characters(text: str) -> list[str]:
    """Return the distinct invisible characters (zero-width, direction marks, variation selectors).

    They are allowed, since emoji and right-to-left scripts need them, but the author is warned: they cost money and
    may mislead.
    """
    return list(dict.fromkeys(_INVISIBLE.findall(text)))


def normalise(text: str) -> str:
    """Return a text as it is counted, stored and sent: in NFC, without CR and tabs."""
    if "\r" in text or "\t" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _joined_by_pairs(utf16: bytes) -> int:
    """Return the number of segments of a long text without splitting any character above U+FFFF."""
    segments, end, units = 0, 0, len(utf16) // 2
    while end < units:
        segments, end = segments + 1, end + UCS2_JOINED
        if end < units and _is_surrogate(utf16[2 * end - 1], 0xD8) and _is_surrogate(utf16[2 * end + 1], 0xDC):
            end -= 1
    return segments


def _is_surrogate(high_byte: int, lowest: int) -> bool:
    return lowest <= high_byte < lowest + 4


def _fill(widths: Iterable[int], single: int, joined: int) -> tuple[int, int]:
    widths = list(widths)
    total = sum(widths)
    if total <= single:
        return 1, single - total
    segments, used = 1, 0
    for width in widths:
        if used + width > joined:
            segments, used = segments + 1, 0
        used += width
    return segments, joined - used
