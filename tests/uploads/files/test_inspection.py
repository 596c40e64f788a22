"""How a file is read is guessed well, and what the uploader says is not guessed at all."""

from pathlib import Path
from typing import Any

import pytest

from smsapp.core.exceptions import UploadInvalid
from uploads.files.inspection import inspect
from uploads.files.parsing import FileShape

PHONES = [f"+4917139200{n:02}" for n in range(40)]


def shape_of(folder: Path, content: str | bytes, name: str = "f.csv", **options: Any) -> FileShape:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return inspect(path, "DE", **options)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_among_decimal_commas_and_quoted_ones(tmp_path: Path, delimiter: str) -> None:
    rows = [("name", "phone", "amount"), *((f'"A, B; {n}"', phone, "1 | 2") for n, phone in enumerate(PHONES))]
    quoted = [delimiter.join(f'"{cell}"' if delimiter in cell and cell[0] != '"' else cell for cell in r) for r in rows]
    shape = shape_of(tmp_path, "\n".join(quoted))
    assert (shape.delimiter, shape.columns, shape.phone_column) == (delimiter, ("name", "phone", "amount"), 1)


def test_decimal_commas_do_not_make_commas_the_delimiter(tmp_path: Path) -> None:
    content = "".join(f"Anna;{phone};{n},50\n" for n, phone in enumerate(PHONES))
    assert shape_of(tmp_path, content).delimiter == ";"


@pytest.mark.parametrize("name", ["f.txt", "f.csv"])
def test_one_number_a_line_has_no_delimiter(tmp_path: Path, name: str) -> None:
    shape = shape_of(tmp_path, "\n".join(PHONES) + "\nAnna, Bob\n", name)
    assert (shape.delimiter, shape.has_header, shape.columns, shape.phone_column) == ("", False, ("column_1",), 0)
    shape = shape_of(tmp_path, "phone\n" + "\n".join(PHONES), name)
    assert (shape.has_header, shape.columns) == (True, ("phone",))


def test_a_txt_file_that_is_plainly_a_table_is_read_as_one(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, "".join(f"Anna\t{phone}\n" for phone in PHONES), "f.txt")
    assert (shape.delimiter, shape.phone_column, shape.columns) == ("\t", 1, ("column_1", "column_2"))


def test_several_numbers_in_a_line_of_txt_are_refused_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(UploadInvalid, match="Put one number on each line"):
        shape_of(tmp_path, ",".join(PHONES[:5]), "f.txt")


@pytest.mark.parametrize(
    "header",
    [
        "Mobile",
        "mobile_number",
        "Phone Number",
        "phoneNumber",
        "Handy-Nr.",
        "Telefon",
        "Rufnummer",
        "Teléfono móvil",
        "N° de téléphone",
        "Cellulare",
        "Телефон",
        "Мобильный",
        "Τηλέφωνο",
        "手机号码",
        "電話番号",
        "GSM",
        "Tel.",
        "MSISDN",
    ],
)
def test_a_header_names_the_phone_column_in_many_languages(tmp_path: Path, header: str) -> None:
    shape = shape_of(tmp_path, f"id;{header};note\n1;wrong;x\n2;also wrong;y\n")
    assert (shape.has_header, shape.phone_column) == (True, 1)


def test_a_mobile_column_wins_over_a_landline_column(tmp_path: Path) -> None:
    rows = "".join(f"030 231250{n:02};{phone}\n" for n, phone in enumerate(PHONES))
    assert shape_of(tmp_path, "Telefon;Mobil\n" + rows).phone_column == 1


def test_values_decide_where_names_say_nothing(tmp_path: Path) -> None:
    rows = "".join(f"2026-11-{n % 28 + 1:02};{phone};{n}\n" for n, phone in enumerate(PHONES))
    shape = shape_of(tmp_path, rows)
    assert (shape.has_header, shape.phone_column) == (False, 1)
    shape = shape_of(tmp_path, "a;b;c\n" + rows)
    assert (shape.has_header, shape.phone_column, shape.columns) == (True, 1, ("a", "b", "c"))


def test_column_names_are_unique_and_fit_into_placeholders(tmp_path: Path) -> None:
    shape = shape_of(tmp_path, 'phone;;Name;name;{a|b};"two\nlines";column_2\n' + f"{PHONES[0]};;;;;;\n")
    assert shape.columns == ("phone", "column_2", "Name", "name_2", "a b", "two lines", "column_2_2")


def test_what_is_said_is_not_guessed(tmp_path: Path) -> None:
    content = "".join(f"{phone},x;{other}\n" for phone, other in zip(PHONES[:20], PHONES[20:], strict=True))
    guessed = shape_of(tmp_path, content)
    said = shape_of(tmp_path, content, delimiter=";", has_header=True, phone_column=1)
    assert (guessed.has_header, said.has_header, said.phone_column) == (False, True, 1)
    assert said.columns == (f"{PHONES[0]},x", PHONES[20])
    named = "Home;Work\n" + content
    assert shape_of(tmp_path, named, delimiter=";", has_header=True, phone_column=" work ").phone_column == 1
    assert shape_of(tmp_path, named, delimiter=";", has_header=True, phone_column="0").phone_column == 0


@pytest.mark.parametrize("said", ["tab", "\\t", "\t"])
def test_the_tab_can_be_said_in_words(tmp_path: Path, said: str) -> None:
    shape = shape_of(tmp_path, f"a;b\tphone\n1;2\t{PHONES[0]}\n", delimiter=said)
    assert (shape.delimiter, shape.columns, shape.phone_column) == ("\t", ("a;b", "phone"), 1)


@pytest.mark.parametrize("wanted", ["Fax", 5, "-1"])
def test_an_unknown_column_is_refused_with_the_columns_there_are(tmp_path: Path, wanted: str | int) -> None:
    with pytest.raises(UploadInvalid, match=r"name, phone") as refusal:
        shape_of(tmp_path, f"name;phone\nAnna;{PHONES[0]}\n", phone_column=wanted)
    assert refusal.value.details["field"] == "phone_column"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no rows"),
        (b"\n \n\r\n", "no rows"),
        (b"\xef\xbb\xbf", "no rows"),
        (b"name;phone\n", "a header and no rows"),
        (b"name;city\nAnna;Berlin\nBob;Paris\n", r"looks like phone numbers. Its first row: name \| city"),
        (b"date;amount\n2026-11-22;19,50\n2026-11-23;7,00\n", "looks like phone numbers"),
        (b"x" * 10_000_000, "The line is longer than 64 KiB"),
        (b'"a;b\nc\n', "looks like phone numbers"),
        (bytes(range(128, 256)) * 50, "characters that no text may contain"),
    ],
)
def test_a_file_without_recipients_is_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(UploadInvalid, match=sentence):
        shape_of(tmp_path, content)


@pytest.mark.parametrize(
    ("text", "codec", "found"),
    [
        ("name;phone\nZoë Ян 🚲;", "utf-8", "utf-8"),
        ("name;phone\nZoë;", "utf-8-sig", "utf-8-sig"),
        ("name;phone\nAnna;", "utf-16", "utf-16"),
        ("имя;phone\nАнна;", "utf-16-le", "utf-16-le"),
        ("имя;phone\nАнна;", "utf-16-be", "utf-16-be"),
        ("name;phone\nAnna;", "utf-32", "utf-32"),
        ("имя;телефон\nЕлена Иванова;", "cp1251", "cp1251"),
        ("name;phone\nJürgen Groß Chloé Ñandú;", "cp1252", "cp1252"),
    ],
)
def test_encodings_are_told_apart(tmp_path: Path, text: str, codec: str, found: str) -> None:
    shape = shape_of(tmp_path, (text + PHONES[0] + "\n").encode(codec))
    assert shape.encoding == found
    assert shape.columns[0] == text.split(";")[0]
    assert shape.sample[0] == (text.split("\n")[1].removesuffix(";"), PHONES[0])


def test_the_first_umlaut_of_a_long_file_decides_its_encoding(tmp_path: Path) -> None:
    content = ("name;phone\n" + f"Anna;{PHONES[0]}\n" * 50_000 + f"Jürgen;{PHONES[1]}\n").encode("cp1252")
    assert shape_of(tmp_path, content).encoding == "cp1252"


def test_a_few_broken_bytes_do_not_change_a_files_encoding(tmp_path: Path) -> None:
    good = f"Zoë Müller Ñandú;{PHONES[0]}\n".encode() * 3
    assert shape_of(tmp_path, good + b"M\xfcller;1\n" + good).encoding == "utf-8"
