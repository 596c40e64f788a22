"""A file of recipients becomes good rows and bad rows, one after the other: rows in = good + bad, always.

Rows have the numbers a spreadsheet shows: records from 1, the header included. The header, where there is one, is
the first record that can be read and is not empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from smsapp.lib.phone import RefusedNumber, parse_number
from smsapp.lib.text import normalise
from uploads.choices import RowReason
from uploads.chunks import RefusedRow, shown
from uploads.records import BadRecord, RecordReader


@dataclass(frozen=True, slots=True)
class FileShape:
    """How a file is read. `delimiter` empty: one number a line. `sample`: the first rows, for a person to see."""

    encoding: str
    delimiter: str
    has_header: bool
    columns: tuple[str, ...]
    phone_column: int
    sample: tuple[tuple[str, ...], ...] = ()


class GoodRow(NamedTuple):
    """`phone` in E.164; `values` of all columns, the phone column as it was written included."""

    row: int
    phone: str
    values: list[str]


class RowReader:
    """Iterate once over GoodRow and RefusedRow; `bytes_read` for progress. Raises OSError.

    The first `skip_rows` records are passed over unchecked: a reader that was killed goes on where it was.
    """

    def __init__(self, path: Path, shape: FileShape, country: str, skip_rows: int = 0) -> None:
        self._records = RecordReader(path, shape.encoding, shape.delimiter)
        self._shape = shape
        self._country = country
        self._skip_rows = skip_rows

    @property
    def bytes_read(self) -> int:
        return self._records.bytes_read

    def __iter__(self) -> Iterator[GoodRow | RefusedRow]:
        header_is_due = self._shape.has_header
        width, column, country = len(self._shape.columns), self._shape.phone_column, self._country
        skip = self._skip_rows
        for row, record in enumerate(self._records, 1):
            if header_is_due and is_filled(record):
                header_is_due = False
                continue
            if row <= skip:
                continue
            if isinstance(record, BadRecord):
                yield RefusedRow(row, record.reason, shown(record.text), "")
                continue
            if len(record) != width and not _fit(record, width):
                detail = f"{len(record)} cells, the file has {width} columns"
                yield RefusedRow(row, RowReason.EXTRA_CELLS.value, shown(" | ".join(record)), detail)
                continue
            raw = record[column]
            if not raw:
                yield _without_number(row, record)
                continue
            try:
                phone = parse_number(raw, country)
            except RefusedNumber as refusal:
                yield RefusedRow(row, refusal.reason, shown(raw), refusal.detail)
            else:
                yield GoodRow(row, phone, [_plain(cell) for cell in record])


def is_filled(record: list[str] | BadRecord) -> bool:
    return not isinstance(record, BadRecord) and any(record)


def _plain(cell: str) -> str:
    """As it will be counted and sent; most cells are plain already."""
    return cell if cell.isascii() and "\r" not in cell else normalise(cell)


def _fit(cells: list[str], width: int) -> bool:
    """Bring cells to the width in place; False if there is something in more cells than that."""
    while len(cells) > width and not cells[-1]:
        cells.pop()
    cells.extend([""] * (width - len(cells)))
    return len(cells) == width


def _without_number(row: int, cells: list[str]) -> RefusedRow:
    if any(cells):
        return RefusedRow(row, RowReason.NO_NUMBER.value, shown(" | ".join(filter(None, cells))), "")
    return RefusedRow(row, RowReason.EMPTY_ROW.value, "", "")
