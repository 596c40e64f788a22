"""A file of recipients becomes valid and rejected rows, one after the other: rows in = valid + rejected, always.

Rows are numbered as in a spreadsheet: records from 1, the header included. The header, if there is one, is the first
record that can be read and is not empty.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smsapp.lib.csv_safety import plain_cell
from smsapp.lib.phone import RefusedNumber, parse_number
from smsapp.lib.text import normalise
from uploads.choices import RowReason
from uploads.chunks import RefusedRow, shown
from uploads.files.records import BadRecord, RecordReader

#: The last columns of a file of rows to correct (`corrections.py`): the original row, and why it was left out.
NOTES = ("smsapp_row", "smsapp_reason", "smsapp_detail")

_DUPLICATE = RowReason.DUPLICATE.value


@dataclass(frozen=True, slots=True)
class FileShape:
    """How a file is read. `delimiter` empty: one number a line. `sample`: the first rows, for a person to see."""

    encoding: str
    delimiter: str
    has_header: bool
    columns: tuple[str, ...]
    phone_column: int
    sample: tuple[tuple[str, ...], ...] = ()

    @property
    def as_fields(self) -> dict[str, Any]:
        """Return the shape as fields of an upload."""
        return {
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "has_header": self.has_header,
            "columns": list(self.columns),
            "phone_column": self.phone_column,
        }


@dataclass(slots=True)
class Rows:
    """Consecutive rows: the recipients in three lists of equal length, and the rejected ones.

    `phones` in E.164; `values` of all columns, including the phone column as it was written.
    """

    rows: list[int] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    values: list[Sequence[str]] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    last_row: int = 0

    @property
    def duplicates(self) -> int:
        return sum(refused.reason == _DUPLICATE for refused in self.refused)

    def __len__(self) -> int:
        return len(self.rows) + len(self.refused)


class RowReader:
    """Reads a file once; `bytes_read` shows progress. Raises OSError.

    The first `skip_rows` records are skipped unchecked: a reader that was killed goes on where it was.
    """

    def __init__(self, path: Path, shape: FileShape, country: str, skip_rows: int = 0) -> None:
        self._records = RecordReader(path, shape.encoding, shape.delimiter)
        self._has_header = shape.has_header
        self._has_notes = False
        self._width = len(shape.columns)
        self._phone_column = shape.phone_column
        self._country = country
        self._skip_rows = skip_rows

    @property
    def bytes_read(self) -> int:
        return self._records.bytes_read

    def slices(self, seen: set[int], max_good: int, max_refused: int) -> Generator[Rows, None, None]:
        """Yield all rows, in order, in slices with up to so many recipients and rejected rows.

        `seen`: numbers, as integers, that are duplicates when they come again; the numbers read are added.
        """
        found = Rows()
        for row, record in self._data():
            phone = self._phone_of(row, record)
            if isinstance(phone, RefusedRow):
                found.refused.append(phone)
            elif (number := int(phone)) in seen:
                found.refused.append(RefusedRow(row, _DUPLICATE, shown(phone), ""))
            else:
                assert isinstance(record, list)
                seen.add(number)
                found.rows.append(row)
                found.phones.append(phone)
                found.values.append(_plain(record))
            found.last_row = row
            if len(found.rows) >= max_good or len(found.refused) >= max_refused:
                yield found
                found = Rows()
        if len(found):
            yield found

    def _data(self) -> Iterator[tuple[int, list[str] | BadRecord]]:
        """Yield records with their row numbers, without the header and the rows to skip."""
        header_is_due = self._has_header
        skip = self._skip_rows
        for row, record in enumerate(self._records, 1):
            if header_is_due and is_filled(record):
                header_is_due = False
                self._has_notes = has_notes(record)
            elif row > skip:
                yield row, record

    def _phone_of(self, row: int, record: list[str] | BadRecord) -> str | RefusedRow:
        """Return the number in E.164, and bring the record to the width of the file."""
        if isinstance(record, BadRecord):
            return RefusedRow(row, record.reason, shown(record.text), "")
        if self._has_notes:
            record[:] = without_notes(record, self._width)
        if len(record) != self._width and not _fit(record, self._width):
            detail = f"{len(record)} cells, the file has {self._width} columns"
            return RefusedRow(row, RowReason.EXTRA_CELLS.value, shown(" | ".join(record)), detail)
        raw = record[self._phone_column]
        if not raw:
            return _without_number(row, record)
        try:
            return parse_number(raw, self._country)
        except RefusedNumber as refusal:
            return RefusedRow(row, refusal.reason, shown(raw), refusal.detail)


def has_notes(header: Sequence[str] | BadRecord) -> bool:
    """Return whether we made this file, of rows to correct."""
    return not isinstance(header, BadRecord) and tuple(_trimmed(header)[-len(NOTES) :]) == NOTES


def without_notes(record: list[str], width: int) -> list[str]:
    """Return the cells as they were before we added notes and made them safe for a spreadsheet."""
    return [plain_cell(cell) for cell in (*record[:width], *record[width + len(NOTES) :])]


def fitted(record: list[str], width: int) -> list[str] | None:
    """Return a copy with exactly so many cells; None for a record with something in more of them."""
    cells = list(record)
    return cells if _fit(cells, width) else None


def is_filled(record: list[str] | BadRecord) -> bool:
    return not isinstance(record, BadRecord) and any(record)


def _plain(cells: list[str]) -> tuple[str, ...]:
    """Return cells as they are counted and sent. Line ends are newlines already, so ASCII stays as it is.

    A tuple, because the garbage collector looks at it once, and at a list again and again.
    """
    if "".join(cells).isascii():
        return tuple(cells)
    return tuple([cell if cell.isascii() else normalise(cell) for cell in cells])


def _trimmed(cells: Sequence[str]) -> Sequence[str]:
    return cells[: max((index for index, cell in enumerate(cells, 1) if cell), default=0)]


def _fit(cells: list[str], width: int) -> bool:
    """Bring cells to the width in place. Return False if there is something in more cells than that."""
    while len(cells) > width and not cells[-1]:
        cells.pop()
    cells.extend([""] * (width - len(cells)))
    return len(cells) == width


def _without_number(row: int, cells: list[str]) -> RefusedRow:
    if any(cells):
        return RefusedRow(row, RowReason.NO_NUMBER.value, shown(" | ".join(filter(None, cells))), "")
    return RefusedRow(row, RowReason.EMPTY_ROW.value, "", "")
