"""A file's bytes become records: lists of cells, or the reason why there are none. Streaming, in bounded memory.

- Line ends are LF, CRLF or CR. A line of more than 64 KiB is one invalid record and is not kept.
- A field that begins with a quote ends with one, and may hold delimiters, doubled quotes and line breaks. A quote
  that is not closed properly makes ONE invalid record of its own line; reading goes on at the next line. A quoted
  field may run over MAX_RECORD_LINES lines and MAX_LINE characters in all.
- A quote inside a field that does not begin with one is text (`5" pipe`).
- Spaces around cells are not part of them.
"""

import codecs
import io
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from uploads.choices import RowReason
from uploads.files.encodings import errors_of

MAX_LINE = 64 * 1024  # characters
MAX_RECORD_LINES = 100
MAX_CELL = 2000  # characters
MAX_COLUMNS = 100

_BLOCK = 256 * 1024  # bytes
_KEPT = 80  # characters kept of an invalid record
# Control characters, halves of surrogate pairs (bytes that were not UTF-8) and the replacement character.
_bad_characters = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffd]").search


class BadRecord(NamedTuple):
    """A record that cannot be read. `text`: the beginning of its text in the file."""

    reason: str
    text: str


class _LongLine(str):
    """The beginning of a line over the limit."""

    __slots__ = ()


class RecordReader:
    """Iterate once. `bytes_read` says how far reading has come. Opening raises OSError."""

    def __init__(self, path: Path, encoding: str, delimiter: str) -> None:
        self.bytes_read = 0
        self._path = path
        self._encoding = encoding
        self._delimiter = delimiter
        end = rf"({re.escape(delimiter)}|\Z)" if delimiter else r"(\Z)"
        self._quoted_field = re.compile(rf' *"((?:[^"]++|"")*+)(?:" *{end})?').match
        self._lines: Iterator[str] = iter(())
        self._put_back: deque[str] = deque()

    def __iter__(self) -> Iterator[list[str] | BadRecord]:
        self._lines = self._read_lines()
        delimiter = self._delimiter
        while (line := self._next_line()) is not None:
            if type(line) is _LongLine:
                yield BadRecord(RowReason.TOO_LONG.value, line)
            elif '"' in line:
                yield self._quoted_record(line)
            else:
                yield self._checked(line, line.split(delimiter) if delimiter else [line])

    def _next_line(self) -> str | None:
        return self._put_back.popleft() if self._put_back else next(self._lines, None)

    def _read_lines(self) -> Iterator[str]:
        make_decoder = codecs.getincrementaldecoder(self._encoding)
        decoder = io.IncrementalNewlineDecoder(make_decoder(errors_of(self._encoding)), translate=True)
        pending = ""
        too_long: _LongLine | None = None
        with self._path.open("rb") as file:
            while True:
                block = file.read(_BLOCK)
                self.bytes_read += len(block)
                lines = (pending + decoder.decode(block, final=not block)).split("\n")
                pending = lines.pop()
                if too_long is not None and lines:
                    lines[0], too_long = too_long, None
                for line in lines:
                    yield line if len(line) <= MAX_LINE else _LongLine(line[:_KEPT])
                if too_long is not None or len(pending) > MAX_LINE:
                    too_long, pending = too_long or _LongLine(pending[:_KEPT]), ""
                if not block:
                    break
        if too_long is not None:
            yield too_long
        elif pending:
            yield pending

    def _quoted_record(self, first: str) -> list[str] | BadRecord:
        text = first
        taken: list[str] = []
        while True:
            cells, is_open = self._split(text)
            if cells is not None:
                return self._checked(text, cells)
            more = self._lines_to_next_quote(len(text), MAX_RECORD_LINES - len(taken)) if is_open else []
            taken += more
            if not more or '"' not in more[-1]:
                break
            text = "\n".join((text, *more))
        self._put_back.extendleft(reversed(taken))
        reason = RowReason.UNCLOSED_QUOTE if is_open or taken else RowReason.MALFORMED_ROW
        return BadRecord(reason.value, first[:_KEPT])

    def _lines_to_next_quote(self, length: int, max_lines: int) -> list[str]:
        """Return the following lines up to the first with a quote; without one when the record gets too long."""
        lines: list[str] = []
        while len(lines) < max_lines and (line := self._next_line()) is not None:
            lines.append(line)
            length += len(line) + 1
            if '"' in line or length > MAX_LINE or type(line) is _LongLine:
                break
        if lines and (length > MAX_LINE or type(lines[-1]) is _LongLine):
            self._put_back.extendleft(reversed(lines))
            return []
        return lines

    def _split(self, text: str) -> tuple[list[str] | None, bool]:
        """Return the cells; or None and whether a quote is still open at the end."""
        cells: list[str] = []
        position = 0
        while True:
            quoted = self._quoted_field(text, position)
            if quoted:
                if quoted[2] is None:
                    return None, quoted.end() == len(text)
                cells.append(quoted[1].replace('""', '"'))
                position = quoted.end()
                if not quoted[2]:
                    return cells, False
                continue
            end = text.find(self._delimiter, position) if self._delimiter else -1
            if end < 0:
                cells.append(text[position:])
                return cells, False
            cells.append(text[position:end])
            position = end + 1

    def _checked(self, text: str, raw_cells: list[str]) -> list[str] | BadRecord:
        cells = list(map(str.strip, raw_cells))
        if "\t" in text:
            cells = [cell.replace("\t", " ") for cell in cells]  # as in a text: see `normalise`
        reason = None
        if (not text.isprintable() or "\ufffd" in text) and _bad_characters(text):
            reason = RowReason.BAD_CHARACTERS
        elif len(cells) > MAX_COLUMNS:
            reason = RowReason.TOO_MANY_COLUMNS
        elif len(text) > MAX_CELL and max(map(len, cells)) > MAX_CELL:
            reason = RowReason.CELL_TOO_LONG
        return cells if reason is None else BadRecord(reason.value, text[:_KEPT])
