"""CSV cells that a spreadsheet does not run as formulas."""

import csv
import io
import re
from collections.abc import Iterable

_STARTS = "=+\\-@|%＝＋－＠"  # beginnings of a formula, in full width too
_UNSEEN = r"\s\0\u200b\u200c\u200d\u2060\ufeff"
#: At the beginning, or after a character that separates cells in some countries and programs.
_FORMULA = re.compile(rf"(\A[{_UNSEEN}]*|[;,\t\r\n|][{_UNSEEN}]*)(?=[{_STARTS}\t\r\n\0])")
_GUARDED = re.compile(rf"(\A[{_UNSEEN}]*|[;,\t\r\n|][{_UNSEEN}]*)'(?=[{_STARTS}\t\r\n\0])")
_NUMBER = re.compile(r"\+[0-9]+\Z")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel does not recognise UTF-8


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula: formulas get an apostrophe in front.

    A plus followed only by digits is a phone number and stays as it is.
    """
    return text if _NUMBER.match(text) else _FORMULA.sub(r"\1'", text)


def plain_cell(text: str) -> str:
    """Undo `safe_cell`."""
    return _GUARDED.sub(r"\1", text)


def csv_line(cells: Iterable[object], delimiter: str = ",") -> bytes:
    """Return one row in UTF-8; every cell is passed through `safe_cell`."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter).writerow([safe_cell(str(cell)) for cell in cells])
    return line.getvalue().encode()


def attachment(name: str) -> str:
    """Return the Content-Disposition header of a download. Only plain ASCII characters of the name are kept."""
    plain = "".join(one for one in name if one.isascii() and (one.isalnum() or one in "-_. ")).strip() or "file.csv"
    return f'attachment; filename="{plain}"'
