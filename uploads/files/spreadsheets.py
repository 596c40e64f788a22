"""An .xlsx workbook becomes a CSV file of its first visible sheet, so that the rest knows one kind of file.

Row numbers stay those of the spreadsheet. A workbook is a ZIP archive of XML: what it would unpack to is bounded before
anything is unpacked. Other costs, such as columns that do not exist or texts that nobody needs, are bounded by the
process that reads it, which has so much time and memory and no more.
"""

import csv
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path

from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from smsapp.core.exceptions import PayloadTooLarge, UploadInvalid
from smsapp.lib.sentences import Sentence, gettext_noop, read

MAX_ROWS = 100_000  # converted in some seconds
MAX_COLUMNS = 100
MAX_CELL = 5000  # characters; a cell that is too long is reported by its row later
MAX_PARTS = 2000  # files in the archive
MAX_UNPACKED = 150 * 1024**2  # bytes of all of them
MAX_RATIO = 200  # unpacked to packed, of a part of more than MIN_JUDGED bytes
MIN_JUDGED = 1024**2
MAX_SECONDS = 20  # of processor time, to convert one
MAX_WAIT = 40.0  # seconds by the clock, less than the lease of whoever reads it
MAX_MEMORY = 512 * 1024**2  # bytes of address space
_REFUSED = 3  # exit code: the last line of the output says why
_DAMAGED = gettext_noop("The spreadsheet cannot be read: it is damaged, or protected by a password.")
_TOO_LARGE = gettext_noop("The spreadsheet is too large to be read. Save the sheet as CSV and upload that.")
_MACROS = "vbaproject.bin"


def check_workbook(workbook: Path) -> None:
    """Check everything that needs no unpacking. Raises UploadInvalid."""
    try:
        _check_archive(workbook)
    except UploadInvalid:
        raise
    except Exception as error:  # zipfile raises anything on a broken archive
        raise _refusal(_DAMAGED) from error


def to_csv_apart(workbook: Path, target: Path) -> None:
    """Like `to_csv`, in a process of its own that ends when it takes too much time or memory."""
    command = [sys.executable, "-m", __name__, str(workbook), str(target)]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], timeout=MAX_WAIT, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refusal(_TOO_LARGE) from None
    if done.returncode == _REFUSED:
        raise _refusal(read(done.stdout.strip().splitlines()[-1]))
    if done.returncode:
        raise _refusal(_TOO_LARGE)


def to_csv(workbook: Path, target: Path) -> None:
    """Write the first visible sheet as UTF-8 CSV with commas. Raises UploadInvalid or PayloadTooLarge."""
    try:
        _check_archive(workbook)
        with target.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(_rows(workbook))
    except (UploadInvalid, PayloadTooLarge):
        raise
    except MemoryError:
        raise _refusal(_TOO_LARGE) from None
    except Exception as error:  # a broken part may raise anything
        raise _refusal(_DAMAGED) from error


def _check_archive(workbook: Path) -> None:
    with zipfile.ZipFile(workbook) as archive:
        parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise _refusal(gettext_noop("The spreadsheet is too large. Save the sheet as CSV and upload that."))
    for part in parts:
        if part.file_size > MIN_JUDGED and part.file_size > MAX_RATIO * max(part.compress_size, 1):
            raise _refusal(gettext_noop("The spreadsheet is packed so tightly that it cannot be a list of numbers."))
        if part.filename.lower().endswith(_MACROS):
            raise _refusal(gettext_noop("The spreadsheet contains macros. Save it as CSV and upload that."))


def _rows(workbook: Path) -> Iterator[list[str]]:
    """Yield every row up to the last filled one, including empty ones, which keeps row numbers."""
    with CalamineWorkbook.from_path(workbook) as book:
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
        name = next((sheet.name for sheet in sheets if sheet.visible is SheetVisibleEnum.Visible), None)
        if name is None:
            raise _refusal(gettext_noop("The spreadsheet has no visible sheet."))
        sheet = book.get_sheet_by_name(name)
        if sheet.end and sheet.end[0] > MAX_ROWS:
            raise PayloadTooLarge(
                Sentence(
                    gettext_noop("A spreadsheet may have %(max)s rows. Save the sheet as CSV and upload that."),
                    max=f"{MAX_ROWS:,}",
                ),
                field="file",
            )
        for values in sheet.iter_rows():
            cells = [_text(value) for value in values[: MAX_COLUMNS + 1]]
            while len(cells) > 1 and not cells[-1]:
                cells.pop()
            yield cells


def _text(value: object) -> str:
    """Return a cell as a person reads it, whole numbers in full: Excel stores phone numbers as numbers."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e17 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)[:MAX_CELL]


def _refusal(message: str | Sentence) -> UploadInvalid:
    return UploadInvalid(message, field="file")


def main(workbook: str, target: str) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    try:
        to_csv(Path(workbook), Path(target))
    except (UploadInvalid, PayloadTooLarge) as refusal:
        print(refusal.sentence.stored(1000))  # noqa: T201
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
