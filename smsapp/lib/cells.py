"""Tables that other people open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for something else


def safe_cell(text: str) -> str:
    """A text that no spreadsheet runs as a formula: an apostrophe stands before what would be one. A plus followed by
    digits only is a phone number."""
    if text.startswith(_FORMULA) and not (text[:1] == "+" and text[1:].isdigit()):
        return f"'{text}"
    return text


def csv_line(cells: Iterable[object]) -> bytes:
    """One row in UTF-8, every cell safe."""
    line = io.StringIO()
    csv.writer(line).writerow([safe_cell(str(cell)) for cell in cells])
    return line.getvalue().encode()


def attachment(name: str) -> str:
    """Value of Content-Disposition for a file of this name, of which only plain characters are kept."""
    plain = "".join(one for one in name if one.isascii() and (one.isalnum() or one in "-_. ")).strip() or "file.csv"
    return f'attachment; filename="{plain}"'
