"""Tables that other people open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable

_STARTS = "=+\\-@|%＝＋－＠"  # of a formula, in full width too
_UNSEEN = r"\s\0\u200b\u200c\u200d\u2060\ufeff"
#: At the beginning, or behind what separates cells where the settings of a country or a program say so.
_FORMULA = re.compile(rf"(\A[{_UNSEEN}]*|[;,\t\r\n|][{_UNSEEN}]*)(?=[{_STARTS}\t\r\n\0])")
_GUARDED = re.compile(rf"(\A[{_UNSEEN}]*|[;,\t\r\n|][{_UNSEEN}]*)'(?=[{_STARTS}\t\r\n\0])")
_NUMBER = re.compile(r"\+[0-9]+\Z")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for something else


def safe_cell(text: str) -> str:
    """A text that no spreadsheet runs as a formula: an apostrophe stands before what would be one. A plus followed by
    digits only is a phone number."""
    return text if _NUMBER.match(text) else _FORMULA.sub(r"\1'", text)


def plain_cell(text: str) -> str:
    """What `safe_cell` was given."""
    return _GUARDED.sub(r"\1", text)


def csv_line(cells: Iterable[object], delimiter: str = ",") -> bytes:
    """One row in UTF-8, every cell safe."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter).writerow([safe_cell(str(cell)) for cell in cells])
    return line.getvalue().encode()


def attachment(name: str) -> str:
    """Value of Content-Disposition for a file of this name, of which only plain characters are kept."""
    plain = "".join(one for one in name if one.isascii() and (one.isalnum() or one in "-_. ")).strip() or "file.csv"
    return f'attachment; filename="{plain}"'
