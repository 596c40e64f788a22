"""Workbooks: read as their owner sees them, and harmless whatever is in them."""

import io
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook

from smsapp.exceptions import PayloadTooLarge, UploadInvalid
from tests.factories import MembershipFactory
from uploads import spreadsheets
from uploads.models import Upload
from uploads.services import accept_upload, numbers, read_upload, refused_rows
from uploads.spreadsheets import to_csv


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


HARMFUL = {
    "empty": b"",
    "no archive": b"not a workbook",
    "an archive of something else": archive(**{"readme.txt": b"hello"}),
    "cut off": workbook([["+4915112345678"]] * 50)[:900],
    "macros": with_part("xl/vbaProject.bin", b"x"),
    "a bomb": with_part("xl/media/zeros.bin", b"\0" * 30 * 1024**2),
    "old format": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    "no sheet": archive(**{"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}),
    "entities": archive(**{
        "[Content_Types].xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "xl/workbook.xml": b"<workbook/>",
    }),
    "a script in a cell": workbook([["phone", "note"], ["+4915112345678", "<script>alert(1)</script>"]]),
    "nothing but empty rows": workbook([[], []]),
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("content", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_workbook_is_refused_and_leaves_nothing(content: bytes, settings: Any) -> None:
    membership = MembershipFactory.create()
    with pytest.raises(UploadInvalid):
        accept_upload(membership.account, membership.user, SimpleUploadedFile("people.xlsx", content))
    assert not Upload.objects.exists()
    assert not list(Path(settings.UPLOAD_DIR).glob("*"))


def test_too_many_rows_are_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_ROWS", 10)
    with pytest.raises(PayloadTooLarge, match="Save the sheet as CSV"):
        converted(tmp_path, workbook([[n] for n in range(12)]))
    assert len(converted(tmp_path, workbook([[n] for n in range(11)])).splitlines()) == 11
