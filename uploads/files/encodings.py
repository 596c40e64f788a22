"""Which encoding a file has.

Rules, in this order:

1. A byte order mark says it.
2. NUL bytes at every other position: UTF-16 of that byte order.
3. UTF-8, when its multi-byte characters outnumber the bytes that are not UTF-8 (those become row errors).
4. Else a Windows code page. Cyrillic words are runs of bytes from 0xC0 up, accented letters of Western European
   words stand alone: 1251 when more than half of such bytes have a neighbour of their kind, else 1252.
"""

import codecs
import re
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 64 * 1024
_MAX_EVIDENCE = 4  # blocks with bytes above 0x7F

#: Longest first: the mark of UTF-32 LE begins with that of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTINUATION = bytes(range(0x80, 0xC0))
_run_of_letters = re.compile(rb"[\xc0-\xff\xa8\xb8]{2,}").findall
_letters = re.compile(rb"[\xc0-\xff]").findall


def wide_encoding(head: bytes) -> str:
    """Return the UTF-16 or UTF-32 codec that the first bytes of a file suggest, else an empty string."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return "" if name == "utf-8-sig" else name
    places = len(head) // 2
    even, odd = head[0 : places * 2 : 2].count(0), head[1 : places * 2 : 2].count(0)
    if odd and odd * 5 >= places and even * 20 <= odd:
        return "utf-16-le"
    if even and even * 5 >= places and odd * 20 <= even:
        return "utf-16-be"
    return ""


def file_encoding(path: Path) -> str:
    """Return the codec of a file, from its head and the first blocks with bytes above 0x7F. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_BLOCK)
        if head.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        return wide_encoding(head) or _narrow_encoding(_evidence(head, iter(lambda: file.read(_BLOCK), b"")))


def errors_of(encoding: str) -> str:
    """Return how a decoder keeps bytes that do not fit: as characters that make their row invalid, never lost."""
    return "surrogateescape" if encoding.startswith("utf-8") else "replace"


def _evidence(head: bytes, blocks: Iterable[bytes]) -> list[bytes]:
    found = [] if head.isascii() else [head]
    for block in blocks:
        if len(found) == _MAX_EVIDENCE:
            break
        if not block.isascii():
            found.append(block.lstrip(_CONTINUATION))
    return found


def _narrow_encoding(evidence: list[bytes]) -> str:
    fitting = unfitting = alone = together = 0
    for block in evidence:
        # An incremental decoder leaves out a character that the block's end cuts in two.
        text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(block)
        escaped = sum("\udc80" <= character <= "\udcff" for character in text)
        unfitting += escaped
        fitting += sum(character > "\x7f" for character in text) - escaped
        runs = sum(len(_letters(run)) for run in _run_of_letters(block))
        together += runs
        alone += len(_letters(block)) - runs
    if not unfitting or fitting > unfitting:
        return "utf-8"
    return "cp1251" if together > alone else "cp1252"
