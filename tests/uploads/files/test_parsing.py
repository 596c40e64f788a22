"""Rows in = good + bad, with the row numbers a spreadsheet shows."""

import random
from collections import Counter
from pathlib import Path

import pytest

from smsapp.core.exceptions import UploadInvalid
from smsapp.lib.phone import RefusedNumber, parse_number
from tests.data import make_customers
from uploads.chunks import RefusedRow
from uploads.files.inspection import inspect
from uploads.files.parsing import FileShape, RowReader, Rows

SAMPLE = Path(make_customers.__file__).with_name("customers.csv")
SHAPE = FileShape("utf-8", ";", True, ("name", "phone", "city"), 1)


def everything(path: Path, shape: FileShape, skip_rows: int = 0) -> Rows:
    found = list(RowReader(path, shape, "DE", skip_rows).slices(set(), 10**6, 10**6))
    return found[0] if found else Rows()


def read(folder: Path, content: str, shape: FileShape = SHAPE, skip_rows: int = 0) -> Rows:
    path = folder / "f.csv"
    path.write_bytes(content.encode())
    return everything(path, shape, skip_rows)


def good(found: Rows) -> list[tuple[int, str, list[str]]]:
    return [
        (row, phone, list(values)) for row, phone, values in zip(found.rows, found.phones, found.values, strict=True)
    ]


def test_every_row_is_good_or_has_a_reason(tmp_path: Path) -> None:
    content = (
        "name;phone;city\n"
        "Anna;0171 3920012;Berlin\n"
        "\n"
        ";;\n"
        "Bob;;Köln\n"
        '"Two\nlines";+491713920013;\n'
        "Eve;n/a;x\n"
        "Ida;+49 171 1;x\n"
        "Leo;030 23125001;x\n"
        'Max;"0171;x\n'
        'Mia;"0171"1;x\n'
        "Ben;0171 3920014;x;surplus\n"
        "Tom;0171 3920014;x;;\n"
        "Uwe;0171 3920015\n"
        f"{'x' * 2001};0171 3920016;x\n"
        "Zoe;0171 3920017;\x07\n"
    )
    found = read(tmp_path, content)
    assert good(found) == [
        (2, "+491713920012", ["Anna", "0171 3920012", "Berlin"]),
        (6, "+491713920013", ["Two\nlines", "+491713920013", ""]),
        (13, "+491713920014", ["Tom", "0171 3920014", "x"]),
        (14, "+491713920015", ["Uwe", "0171 3920015", ""]),
    ]
    assert [row[:2] for row in found.refused] == [
        (3, "empty_row"),
        (4, "empty_row"),
        (5, "no_number"),
        (7, "not_a_number"),
        (8, "invalid_number"),
        (9, "not_mobile"),
        (10, "unclosed_quote"),
        (11, "malformed_row"),
        (12, "extra_cells"),
        (15, "cell_too_long"),
        (16, "bad_characters"),
    ]
    values = {row.row: row.value for row in found.refused}
    assert (values[5], values[7], values[10]) == ("Bob | Köln", "n/a", 'Max;"0171;x')
    assert max(map(len, values.values())) <= 64


def test_the_header_is_the_first_row_that_is_not_empty(tmp_path: Path) -> None:
    found = read(tmp_path, "\nname;phone;city\nAnna;0171 3920012;\n")
    assert found.refused == [RefusedRow(1, "empty_row", "", "")]
    assert good(found) == [(3, "+491713920012", ["Anna", "0171 3920012", ""])]


def test_a_number_that_comes_again_is_a_duplicate_of_an_earlier_row(tmp_path: Path) -> None:
    found = read(tmp_path, "name;phone;city\nAnna;0171 3920012;\nBob;+49 171 3920012;\nEve;0171 3920013;\n")
    assert [row for row, _, _ in good(found)] == [2, 4]
    assert found.refused == [RefusedRow(3, "duplicate", "+491713920012", "")]
    assert (found.duplicates, found.last_row, len(found)) == (1, 4, 3)


def test_slices_end_with_their_last_good_or_last_refused_row(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"0171 3920012;\n0171 3920013;\nx;\nx;\nx;\n0171 3920014;\n0171 3920012;\n")
    shape, seen = FileShape("utf-8", ";", False, ("phone", "name"), 0), {491713920014}
    slices = list(RowReader(path, shape, "DE").slices(seen, 2, 3))
    assert [(found.rows, [row.row for row in found.refused], found.last_row) for found in slices] == [
        ([1, 2], [], 2),
        ([], [3, 4, 5], 5),
        ([], [6, 7], 7),
    ]
    assert seen == {491713920012, 491713920013, 491713920014}


@pytest.mark.parametrize("skip", [1, 2, 3, 4, 9])
def test_reading_goes_on_after_any_row(tmp_path: Path, skip: int) -> None:
    content = '\nname;phone;city\nAnna;0171 3920012;\n"x;y\n"Two\nlines";1;\nBob;0171 3920013;\n'
    whole, rest = read(tmp_path, content), read(tmp_path, content, skip_rows=skip)
    assert good(rest) == [row for row in good(whole) if row[0] > skip]
    assert rest.refused == [row for row in whole.refused if row.row > skip]


def test_progress_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"+491713920012\n" * 30_000)
    reader = RowReader(path, FileShape("utf-8", "", False, ("column_1",), 0), "DE")
    slices = reader.slices(set(), 1, 1)
    next(slices)
    assert 0 < reader.bytes_read < path.stat().st_size
    assert sum(1 for _ in slices) == 29_999
    assert reader.bytes_read == path.stat().st_size


def mangled(content: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.randrange(1, 30)):
        place = chance.randrange(len(content))
        kind = chance.randrange(5)
        if kind == 0:
            content[place] = chance.randrange(256)
        elif kind == 1:
            del content[place : place + chance.randrange(200)]
        elif kind == 2:
            content[place:place] = chance.choice(
                (b'"', b'"\n', b"\n\n", b"\r", b"\x00", b";" * 120, b"\xff", b"x" * 3000)
            )
        elif kind == 3:
            content[place:place] = content[: chance.randrange(2000)]
        elif content[place : place + 1] != b"":
            content[place : place + 1] = b'"'
    return bytes(content)


def test_two_hundred_mangled_files_lose_no_row_and_raise_nothing(tmp_path: Path) -> None:
    chance = random.Random(11)
    original = SAMPLE.read_bytes()[:8_000]
    outcomes: Counter[str] = Counter()
    for n in range(200):
        path = tmp_path / f"{n}.csv"
        path.write_bytes(mangled(bytearray(original), chance))
        try:
            shape = inspect(path, "DE")
        except UploadInvalid:
            outcomes["refused"] += 1
            continue
        found = everything(path, shape)
        rows = [*found.rows, *(row.row for row in found.refused)]
        header = 1 if shape.has_header else 0
        missing = set(range(1, len(rows) + header + 1)) - set(rows)
        assert len(rows) == len(set(rows)), n
        assert len(missing) == header, n
        outcomes["read"] += 1
    assert outcomes["read"] > 150


def test_the_sample_file_is_what_its_script_writes(tmp_path: Path) -> None:
    path = tmp_path / "again.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        make_customers.write(file, 1000, 1)
    assert path.read_bytes() == SAMPLE.read_bytes()


def test_the_sample_file_has_a_thousand_rows_as_dirty_as_promised() -> None:
    content = SAMPLE.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfname;phone;city;order;amount\n")
    shape = inspect(SAMPLE, "DE")
    assert (shape.encoding, shape.delimiter, shape.phone_column) == ("utf-8-sig", ";", 1)
    found = everything(SAMPLE, shape)
    reasons = Counter(row.reason for row in found.refused)
    assert (len(found), len(set(found.phones)), reasons.pop("duplicate")) == (1000, 954, 22)
    assert reasons == {"not_a_number": 10, "invalid_number": 5, "not_mobile": 5, "no_number": 2, "empty_row": 2}
    written = " ".join(values[1] for values in found.values)
    assert all(mark in written for mark in "+-()/.\u00a0")
    assert any(values[1].startswith("00") for values in found.values)
    assert any(values[1].startswith("01") for values in found.values)
    assert any("\n" in values[0] for values in found.values)
    names = "".join(values[0] for values in found.values)
    assert all(character in names for character in "Еь🌻ρü")


def test_generated_numbers_are_valid_and_unique() -> None:
    made = [make_customers.number(n, seed=3) for n in range(3000)]
    phones = {parse_number(make_customers.spelled(*pair, style % 9), "DE") for style, pair in enumerate(made)}
    assert len(phones) == 3000
    with pytest.raises(RefusedNumber):
        parse_number(make_customers.INVALID[0], "DE")
