"""Rejected rows as a file to correct and upload again: the original columns, then why each was left out.

`RowReader` and `inspect` know the last three columns and ignore them.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from smsapp.lib.csv_safety import BYTE_ORDER_MARK, csv_line
from uploads.audiences import refused_rows
from uploads.choices import RowReason
from uploads.chunks import RefusedRow
from uploads.files.parsing import NOTES, fitted
from uploads.files.reading import upload_path
from uploads.files.records import BadRecord, RecordReader
from uploads.models import Upload

_ABOUT_THE_NUMBER = {
    RowReason.NOT_A_NUMBER,
    RowReason.INVALID_NUMBER,
    RowReason.NOT_MOBILE,
    RowReason.DUPLICATE,
}


def correctable_lines(upload: Upload, *, duplicates: bool = False) -> Iterator[bytes]:
    """Yield the lines of the file: the rows to correct, or the duplicates.

    Uploaded again, duplicates would get the text a second time. Once the original is removed, only the number of each
    row is left.
    """
    delimiter = upload.delimiter or ","
    yield BYTE_ORDER_MARK + csv_line([*upload.columns, *NOTES], delimiter)
    refused = refused_rows(upload.audience) if upload.audience else iter(())
    wanted = (row for row in refused if (row.reason == RowReason.DUPLICATE) == duplicates)
    for row, cells in _with_cells(upload, wanted):
        place, detail = cells or _of_value(upload, row), row.detail
        if not any(place):  # it could not be divided into cells: its text is shown, to be typed again
            detail = f"{detail}: {row.value}" if detail else row.value
        yield csv_line([*place, row.row, RowReason(row.reason).label, detail], delimiter)


def _with_cells(upload: Upload, wanted: Iterable[RefusedRow]) -> Iterator[tuple[RefusedRow, Sequence[str] | None]]:
    """Yield each row with its original cells, None where there are none or the original is gone."""
    records = _records(upload)
    for row in wanted:
        record = next((found for number, found in records if number == row.row), None)
        yield row, None if record is None or isinstance(record, BadRecord) else fitted(record, len(upload.columns))


def _records(upload: Upload) -> Iterator[tuple[int, list[str] | BadRecord]]:
    with contextlib.suppress(FileNotFoundError):
        yield from enumerate(RecordReader(upload_path(upload), upload.encoding, upload.delimiter), 1)


def _of_value(upload: Upload, row: RefusedRow) -> list[str]:
    cells = [""] * len(upload.columns)
    if row.reason in _ABOUT_THE_NUMBER:
        cells[upload.phone_column] = row.value
    return cells
