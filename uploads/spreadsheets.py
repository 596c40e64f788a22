"""An .xlsx workbook becomes a CSV file of its first visible sheet, so that everything behind knows one kind of file.

Row numbers stay those that the spreadsheet shows. A workbook is a ZIP archive of XML: what it would unpack to is
bounded before anything is unpacked, and entities are refused (openpyxl uses defusedxml where that is installed).
"""

import csv
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from smsapp.exceptions import PayloadTooLarge, UploadInvalid

MAX_ROWS = 100_000  # converted while the uploader waits: some seconds
MAX_COLUMNS = 100
MAX_CELL = 5000  # characters; what is too long for a cell is told by its row later
MAX_PARTS = 2000  # files in the archive
MAX_UNPACKED = 300 * 1024**2  # bytes of all of them
MAX_RATIO = 200  # unpacked to packed, of a part of more than MIN_JUDGED bytes
MIN_JUDGED = 1024**2
_MACROS = "vbaproject.bin"


def to_csv(workbook: Path, target: Path) -> None:
    """Write the first visible sheet as UTF-8 CSV with commas. Raises UploadInvalid or PayloadTooLarge."""
    try:
        _check_archive(workbook)
        with target.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(_rows(workbook))
    except (UploadInvalid, PayloadTooLarge):
        raise
    except MemoryError:
        raise _refusal("The spreadsheet is too large.") from None
    except Exception as error:  # openpyxl raises whatever a broken part leads it to
        raise _refusal("The spreadsheet cannot be read: it is damaged, or protected by a password.") from error


def _check_archive(workbook: Path) -> None:
    with zipfile.ZipFile(workbook) as archive:
        parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise _refusal("The spreadsheet is too large. Save the sheet as CSV and upload that.")
    for part in parts:
        if part.file_size > MIN_JUDGED and part.file_size > MAX_RATIO * max(part.compress_size, 1):
            raise _refusal("The spreadsheet is packed so tightly that it cannot be a list of numbers.")
        if part.filename.lower().endswith(_MACROS):
            raise _refusal("The spreadsheet contains macros. Save it as CSV and upload that.")


def _rows(workbook: Path) -> Iterator[list[str]]:
    """Every row up to the last that is filled, empty ones too, which keeps the numbers of those behind them."""
    book = load_workbook(workbook, read_only=True, data_only=True, keep_links=False)
    try:
        sheet: Any = next((one for one in book.worksheets if one.sheet_state == "visible"), None)
        if sheet is None:
            raise _refusal("The spreadsheet has no visible sheet.")
        sheet.reset_dimensions()  # what the file says of its own size may be wrong
        empty = 0
        for number, values in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True), 1):
            cells = [_text(value) for value in values]
            if not any(cells):
                empty += 1
                continue
            if number > MAX_ROWS + 1:
                raise PayloadTooLarge(
                    f"A spreadsheet may have {MAX_ROWS:,} rows. Save the sheet as CSV and upload that.", field="file"
                )
            yield from ([""] for _ in range(empty))
            empty = 0
            while cells and not cells[-1]:
                cells.pop()
            yield cells
    finally:
        book.close()


def _text(value: object) -> str:
    """As a person reads the cell. A number without a fraction is written in full: Excel keeps phone numbers so."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e17 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)[:MAX_CELL]


def _refusal(message: str) -> UploadInvalid:
    return UploadInvalid(message, field="file")
