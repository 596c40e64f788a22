"""Workbooks: read as their owner sees them, and harmless whatever is in them."""

import io
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook

from smsapp.core.exceptions import PayloadTooLarge, UploadInvalid
from tests.support.factories import MembershipFactory
from uploads.audiences import numbers, refused_rows
from uploads.files import spreadsheets
from uploads.files.reading import read_upload
from uploads.files.spreadsheets import to_csv
from uploads.models import Upload
from uploads.services import accept_upload, read_again


def workbook(rows: list[list[Any]], **sheets: str) -> bytes:
    """`sheets`: state of further sheets by name, in front of the one with the rows."""
    book = Workbook()
    for name, state in sheets.items():
        book.create_sheet(name, index=0).sheet_state = state
    sheet = book["Sheet"]
    book.active = book.index(sheet)
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def converted(tmp_path: Path, content: bytes) -> str:
    source, target = tmp_path / "a.xlsx", tmp_path / "a.csv"
    source.write_bytes(content)
    to_csv(source, target)
    return target.read_text()


def test_cells_are_written_as_a_person_reads_them(tmp_path: Path) -> None:
    rows = [
        [4915112345678, 4915112345678.0, "0151 1", None, 1.5, True],
        [date(2026, 3, 1), datetime(2026, 3, 1, 8, 5), 'say "hi"\nthere', "x"],  # noqa: DTZ001  a cell has no zone
    ]
    assert converted(tmp_path, workbook(rows)) == (
        '"4915112345678","4915112345678","0151 1","","1.5","TRUE"\n'
        '"2026-03-01","2026-03-01 08:05:00","say ""hi""\nthere","x"\n'
    )


def test_empty_rows_keep_the_numbers_of_those_behind_them(tmp_path: Path) -> None:
    lines = converted(tmp_path, workbook([["phone"], [], [], ["+4915112345678"], [], []])).splitlines()
    assert lines == ['"phone"', '""', '""', '"+4915112345678"']


def test_the_first_visible_sheet_counts(tmp_path: Path) -> None:
    assert converted(tmp_path, workbook([["seen"]], notes="hidden")) == '"seen"\n'


@pytest.mark.django_db
def test_a_workbook_is_read_to_its_recipients_and_bad_rows() -> None:
    membership = MembershipFactory.create(account__default_country="DE")
    rows = [["first name", "Mobile"], ["Anna", 4915112345678], ["Bea", "0151 12345679"], ["Cem", "nonsense"]]
    file = SimpleUploadedFile("people.xlsx", workbook(rows))
    upload = accept_upload(membership.account, membership.user, file)
    assert upload.original_filename == "people.xlsx"
    read_upload(upload.pk, "test")
    upload.refresh_from_db()
    assert (upload.status, upload.columns, upload.phone_column) == ("ready", ["first name", "Mobile"], 1)
    assert upload.audience is not None
    assert numbers(upload.audience) == [(2, "+4915112345678"), (3, "+4915112345679")]
    assert [(row.row, row.reason) for row in refused_rows(upload.audience)] == [(4, "not_a_number")]


def archive(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def with_part(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO(workbook([["+4915112345678"]]))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, content)
    return buffer.getvalue()


HARMFUL_AT_SIGHT = {
    "empty": b"",
    "no archive": b"not a workbook",
    "cut off": workbook([["+4915112345678"]] * 50)[:900],
    "macros": with_part("xl/vbaProject.bin", b"x"),
    "a bomb": with_part("xl/media/zeros.bin", b"\0" * 30 * 1024**2),
    "old format": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
}
HARMFUL_WHEN_READ = {
    "an archive of something else": archive(**{"readme.txt": b"hello"}),
    "no sheet": archive(**{"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}),
    "entities": archive(
        **{
            "[Content_Types].xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            "xl/workbook.xml": b"<workbook/>",
        }
    ),
    "a script in a cell": workbook([["phone", "note"], ["+4915112345678", "<script>alert(1)</script>"]]),
    "nothing but empty rows": workbook([[], []]),
}


def read(content: bytes, **wanted: Any) -> Upload:
    """What becomes of a workbook that was accepted."""
    membership = MembershipFactory.create(account__default_country="DE")
    upload = accept_upload(membership.account, membership.user, SimpleUploadedFile("people.xlsx", content), **wanted)
    assert upload.columns == []
    read_upload(upload.pk, "test")
    upload.refresh_from_db()
    return upload


@pytest.mark.django_db
@pytest.mark.parametrize("content", HARMFUL_AT_SIGHT.values(), ids=HARMFUL_AT_SIGHT.keys())
def test_a_harmful_workbook_is_refused_and_leaves_nothing(content: bytes, settings: Any) -> None:
    membership = MembershipFactory.create()
    with pytest.raises(UploadInvalid):
        accept_upload(membership.account, membership.user, SimpleUploadedFile("people.xlsx", content))
    assert not Upload.objects.exists()
    assert not list(Path(settings.UPLOAD_DIR).glob("*"))


@pytest.mark.django_db
@pytest.mark.parametrize("content", HARMFUL_WHEN_READ.values(), ids=HARMFUL_WHEN_READ.keys())
def test_what_turns_out_harmful_when_it_is_read_says_so(content: bytes, settings: Any) -> None:
    upload = read(content)
    assert upload.status == "failed"
    assert upload.failure_reason
    assert [path.suffix for path in Path(settings.UPLOAD_DIR).glob("*")] == [".xlsx"]


SHARED_TYPE = (
    '<Override PartName="/xl/sharedStrings.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)


def sheet_of(rows: str, shared: str = "") -> bytes:
    """A workbook with this XML between the tags of its sheet's data, and these shared texts."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook([["x"]]))) as whole,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in whole.namelist():
            text = whole.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                start, end = text.index("<sheetData>") + len("<sheetData>"), text.index("</sheetData>")
                text = text[:start] + rows + text[end:]
            if name == "[Content_Types].xml":
                text = text.replace("</Types>", f"{SHARED_TYPE}</Types>")
            packed.writestr(name, text)
        packed.writestr(
            "xl/sharedStrings.xml",
            f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{shared}</sst>',
        )
    return buffer.getvalue()


CELL = '<row r="{row}"><c r="{column}{row}" t="n"><v>4915112345678</v></c></row>'
FIRST = CELL.format(row=1, column="A")
FAR_ROW = sheet_of(FIRST + CELL.format(row=1_500_000, column="A"))
FAR_COLUMN = sheet_of(FIRST + CELL.format(row=100_000, column="XFD"))
MANY_TEXTS = sheet_of(FIRST, "".join(f"<si><t>{n * 7919:012d}{n:07d}</t></si>" for n in range(1_500_000)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "reason"),
    [(FAR_ROW, "A spreadsheet may have 100,000 rows"), (FAR_COLUMN, spreadsheets._TOO_LARGE), (MANY_TEXTS, "")],
    ids=["a row far down", "a column far out", "texts that nobody needs"],
)
def test_a_workbook_costs_no_more_than_its_process_may(content: bytes, reason: str) -> None:
    upload = read(content)
    assert upload.status == ("failed" if reason else "ready")
    assert str(upload.failure_reason).startswith(reason)


def test_a_workbook_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source := tmp_path / "a.xlsx").write_bytes(workbook([["+4915112345678"]]))
    monkeypatch.setattr(spreadsheets, "MAX_WAIT", 0.001)
    with pytest.raises(UploadInvalid, match="too large to be read"):
        spreadsheets.to_csv_apart(source, tmp_path / "a.csv")


@pytest.mark.django_db
def test_what_the_uploader_says_of_a_workbook_is_kept_for_its_reader() -> None:
    rows = [["+4915112345678", "+4915112345679"], ["+4915112345670", "+4915112345671"]]
    upload = read(workbook(rows), phone_column="1", has_header=False)
    assert (upload.status, upload.phone_column, upload.has_header, upload.phone_count) == ("ready", 1, False, 2)
    assert "The file has no such column" in read(workbook(rows), phone_column="nobody").failure_reason


@pytest.mark.django_db
def test_a_workbook_that_could_not_be_read_can_be_read_again() -> None:
    upload = read(workbook([["+4915112345678"]]), phone_column="nobody")
    again = read_again(upload, upload.user, country="DE", phone_column=0, has_header=False, delimiter="")
    read_upload(again.pk, "test")
    again.refresh_from_db()
    assert again.status == "ready"
    once_more = read_again(again, upload.user, country="DE", phone_column=0, has_header=False, delimiter="")
    assert once_more.columns == ["column_1"]


def test_too_many_rows_are_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_ROWS", 10)
    with pytest.raises(PayloadTooLarge, match="Save the sheet as CSV"):
        converted(tmp_path, workbook([[n] for n in range(12)]))
    assert len(converted(tmp_path, workbook([[n] for n in range(11)])).splitlines()) == 11
