"""How a file is to be read, guessed from its first rows. What the uploader says explicitly is never guessed.

- Delimiter: the one by which most rows, and the first one too, have the same number of cells; none if hardly any do.
- Phone column: the share of values that are phone numbers, plus a bonus for a header name that says so. A name alone
  is enough ("phone" over rows that are all wrong); without a name a quarter of the values must look like numbers.
- Header: the first row, if one of its cells is such a name, or if it has words where the other rows have numbers.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypedDict

from smsapp.core.exceptions import UploadInvalid
from smsapp.lib.digits import whole_number
from smsapp.lib.phone import NOT_MOBILE, RefusedNumber, parse_number
from smsapp.lib.sentences import Sentence, gettext_noop
from uploads.choices import RowReason
from uploads.chunks import shown
from uploads.files.encodings import file_encoding
from uploads.files.parsing import NOTES, FileShape, has_notes, is_filled, without_notes
from uploads.files.records import BadRecord, RecordReader

DELIMITERS = (";", ",", "\t", "|")
_SPELLED = {"tab": "\t", "\\t": "\t"}  # how forms and programs write what is trimmed away or cannot be typed

_SAMPLE_ROWS = 200
_SHOWN_ROWS = 5
_MAX_NAME = 64  # characters of a column's name
#: Share of rows that must agree on a delimiter. A .txt file is one number a line unless it is plainly a table.
_AGREEMENT = {".csv": 0.6, ".txt": 0.9}

_MOBILE = 0.6
_PHONE = 0.5
_NUMBER = 0.2
_PLAUSIBLE = 0.25
#: Parts of header names, and whole words too short to be searched as parts.
_NAME_PARTS = (
    (
        _MOBILE,
        "mobil mobiel móvil movil celular cellul cellphone handy msisdn telemovel telemóvel matkapuhelin komórk "
        "κινητ мобил 手机 携帯 휴대",
    ),
    (_PHONE, "phone telef teléf télép telep rufnummer puhelin τηλέφ τηλεφ телеф телеф whatsapp 电话 電話 전화 هاتف"),
    (_NUMBER, "number nummer numero número numéro номер αριθμ recipient empfänger destinat"),
)
_NAME_WORDS = {
    "cell": _MOBILE,
    "gsm": _MOBILE,
    "sms": _MOBILE,
    "mob": _MOBILE,
    "portable": _MOBILE,
    "natel": _MOBILE,
    "tel": _PHONE,
    "fon": _PHONE,
    "tlf": _PHONE,
    "tfno": _PHONE,
    "тел": _PHONE,
    "τηλ": _PHONE,
    "to": _NUMBER,
}


class Wanted(TypedDict, total=False):
    """What the uploader says about a file, as `inspect` takes it."""

    delimiter: str | None
    has_header: bool | None
    phone_column: str | int | None


_may_be_number = re.compile(r"['’]?\s*[(+＋]?[\d(][\d\s()+./\-–]{5,24}").fullmatch
_is_date = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}(\s.*)?").fullmatch
_WORD = re.compile(r"[^\W\d_]+")


def inspect(
    path: Path,
    country: str,
    *,
    delimiter: str | None = None,
    has_header: bool | None = None,
    phone_column: str | int | None = None,
) -> FileShape:
    """Return the shape of a .csv or .txt file.

    `phone_column`: a name, or an index from 0, as number or text. `delimiter`: one of DELIMITERS, `tab`, or empty for
    one number a line. Raises UploadInvalid, with a sentence for the uploader, for a file without recipients; OSError.
    """
    suffix = path.suffix.lower()
    encoding = file_encoding(path)
    if delimiter is None:
        delimiter = _guess_delimiter(path, encoding, suffix)
    elif (delimiter := _SPELLED.get(delimiter, delimiter)) not in (*DELIMITERS, ""):
        raise UploadInvalid(
            gettext_noop("The delimiter must be one of ; , | or tab."), field="delimiter", value=delimiter
        )
    records = _sample(path, encoding, delimiter)
    rows = [record for record in records if is_filled(record) and not isinstance(record, BadRecord)]
    if not rows:
        raise _no_rows(records)
    if has_header is None:
        has_header = _guess_header(rows, country)
    if has_header and has_notes(rows[0]):
        width = _width(rows[0], (), has_header) - len(NOTES)
        rows = [without_notes(row, width) for row in rows]
    data = rows[1:] if has_header else rows
    columns = _column_names(rows[0] if has_header else [], _width(rows[0], data, has_header))
    if not data and len(records) < _SAMPLE_ROWS and not any(isinstance(record, BadRecord) for record in records):
        raise UploadInvalid(gettext_noop("The file has a header and no rows."), field="file")
    if phone_column is not None:
        column = _named_column(phone_column, columns)
    else:
        column = _guess_column(rows[0] if has_header else (), len(columns), data, country)
        if suffix == ".txt" and delimiter and not has_header:
            _check_one_number_a_line(len(columns), data, country)
    sample = tuple(tuple(row) for row in data[:_SHOWN_ROWS])
    return FileShape(encoding, delimiter, has_header, columns, column, sample)


def _sample(path: Path, encoding: str, delimiter: str) -> list[list[str] | BadRecord]:
    return list(islice(RecordReader(path, encoding, delimiter), _SAMPLE_ROWS))


def _guess_delimiter(path: Path, encoding: str, suffix: str) -> str:
    best, best_score = "", 0.0
    for delimiter in DELIMITERS:
        widths = [
            len(record)
            for record in _sample(path, encoding, delimiter)
            if not isinstance(record, BadRecord) and any(record)
        ]
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        share = count / len(widths)
        if width < 2 or share < _AGREEMENT.get(suffix, 0.6):
            continue
        score = share + (widths[0] == width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _guess_header(rows: Sequence[Sequence[str]], country: str) -> bool:
    first, data = rows[0], rows[1:]
    if has_notes(first):
        return True
    if any(_likeness(cell, country) for cell in first):
        return False
    if any(_name_bonus(cell) >= _PHONE for cell in first):
        return True
    scores = [_share(column, data, country) for column in range(len(first))]
    best = max(range(len(first)), key=lambda column: scores[column])
    return scores[best] >= _PLAUSIBLE and bool(_WORD.search(first[best]))


def _width(first: Sequence[str], data: Sequence[Sequence[str]], has_header: bool) -> int:
    """Return the number of cells of the header; else that of most rows."""
    if has_header:
        return max(index for index, name in enumerate(first, 1) if name)
    return Counter(len(row) for row in data).most_common(1)[0][0]


def _column_names(header: Sequence[str], width: int) -> tuple[str, ...]:
    names: list[str] = []
    taken: set[str] = set()
    for index in range(1, width + 1):
        written = header[index - 1] if index <= len(header) else ""
        # A placeholder cannot contain braces or bars.
        name = " ".join(re.sub(r"[{}|]", " ", written).split())[:_MAX_NAME] or f"column_{index}"
        unique, n = name, 1
        while unique.casefold() in taken:
            n += 1
            unique = f"{name}_{n}"
        taken.add(unique.casefold())
        names.append(unique)
    return tuple(names)


def _named_column(wanted: str | int, columns: Sequence[str]) -> int:
    text = str(wanted).strip()
    for index, name in enumerate(columns):
        if name.casefold() == text.casefold():
            return index
    number = whole_number(text)
    if number is not None and number < len(columns):
        return number
    known = ", ".join(columns)
    raise UploadInvalid(
        Sentence(gettext_noop("The file has no such column. Its columns: %(columns)s."), columns=known),
        field="phone_column",
        value=wanted,
    )


def _guess_column(header: Sequence[str], width: int, data: Sequence[Sequence[str]], country: str) -> int:
    scores = [_share(column, data, country) for column in range(width)]
    bonuses = [_name_bonus(name) for name in header[:width]] or [0.0] * width
    best = max(range(width), key=lambda column: scores[column] + bonuses[column])
    if scores[best] < _PLAUSIBLE and bonuses[best] < _PHONE:
        first = shown(" | ".join(header or data[0]))
        raise UploadInvalid(
            Sentence(gettext_noop("No column of the file looks like phone numbers. Its first row: %(row)s"), row=first),
            field="file",
        )
    return best


def _check_one_number_a_line(width: int, data: Sequence[Sequence[str]], country: str) -> None:
    if sum(_share(column, data, country) > 0.5 for column in range(width)) > 1:
        raise UploadInvalid(
            gettext_noop("A line of the file holds several numbers. Put one number on each line."), field="file"
        )


def _share(column: int, data: Sequence[Sequence[str]], country: str) -> float:
    values = [row[column] for row in data if column < len(row) and row[column]]
    return sum(_likeness(value, country) for value in values) / len(values) if values else 0.0


def _likeness(value: str, country: str) -> float:
    """Return 1 for a phone number, nearly 1 for a landline, a little for anything with a number's form."""
    if not _may_be_number(value) or _is_date(value):
        return 0.0
    try:
        parse_number(value, country)
    except RefusedNumber as refusal:
        return 0.9 if refusal.reason == NOT_MOBILE else 0.3
    return 1.0


def _name_bonus(name: str) -> float:
    folded = name.casefold()
    words = _WORD.findall(folded)
    found = [_NAME_WORDS[word] for word in words if word in _NAME_WORDS]
    found += [bonus for bonus, parts in _NAME_PARTS if any(part in folded for part in parts.split())]
    return max(found, default=0.0)


def _no_rows(records: Sequence[list[str] | BadRecord]) -> UploadInvalid:
    reasons = Counter(record.reason for record in records if isinstance(record, BadRecord))
    if not reasons:
        return UploadInvalid(gettext_noop("The file has no rows."), field="file")
    label = RowReason(reasons.most_common(1)[0][0]).source
    return UploadInvalid(
        Sentence(gettext_noop("No row of the file can be read. %(label)s."), label=label), field="file"
    )
