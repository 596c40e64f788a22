"""What was left out of a file is corrected in a spreadsheet and uploaded again."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from tests.support.factories import AccountFactory, MembershipFactory, UserFactory
from uploads.audiences import refused_rows
from uploads.chunks import unpack_body
from uploads.files.corrections import correctable_lines
from uploads.files.reading import read_upload, upload_path
from uploads.models import Upload
from uploads.services import accept_upload

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FILE = """phone;name;city
0151 12345678;Anna;Köln
12345;"Bob; the first";=1+1
+49151123456;Cleo;'=1+1
0151 12345678;Anna again;Ulm
;Dora;Bonn
0151 12345679;Eve;Rome;and more
0151 12345680;"Fay;Ulm
"""
NOTES = ["smsapp_row", "smsapp_reason", "smsapp_detail"]


@pytest.fixture
def account() -> Account:
    return AccountFactory(default_country="DE")


def upload_of(account: Account, content: bytes, name: str = "people.csv", **options: Any) -> Upload:
    upload = accept_upload(account, UserFactory(), SimpleUploadedFile(name, content), **options)
    while not read_upload(upload.pk, "reader"):
        pass
    upload.refresh_from_db()
    return upload


def table_of(upload: Upload, **options: Any) -> list[list[str]]:
    text = b"".join(correctable_lines(upload, **options)).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=upload.delimiter or ","))


def written(table: list[list[str]], delimiter: str = ";") -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(table)
    return file.getvalue().encode("utf-8-sig")


def recipients(upload: Upload) -> list[tuple[str, ...]]:
    assert upload.audience is not None
    body = unpack_body(upload.audience.chunks.get().body)
    return [(phone, *values[1:]) for phone, values in zip(body.phones, body.values, strict=True)]


def test_it_has_the_columns_of_the_file_and_then_the_reason(account: Account) -> None:
    table = table_of(upload_of(account, FILE.encode()))
    assert table == [
        ["phone", "name", "city", *NOTES],
        ["12345", "Bob; the first", "'=1+1", "3", "No such number exists in the numbering plan", table[1][5]],
        ["+49151123456", "Cleo", "'=1+1", "4", "No such number exists in the numbering plan", table[2][5]],
        ["", "Dora", "Bonn", "6", "The row has no phone number", ""],
        [
            "",
            "",
            "",
            "7",
            "The row has more cells than the header",
            "4 cells, the file has 3 columns: 0151 12345679 | Eve | Rome | and more",
        ],
        ["", "", "", "8", "A quote is opened and never closed", '0151 12345680;"Fay;Ulm'],
    ]


def test_it_is_corrected_and_uploaded_again(account: Account) -> None:
    first = upload_of(account, FILE.encode())
    table = table_of(first)
    table[1][0], table[2][0], table[3][0] = "0151 12345681", "0151 12345682", "0151 12345683"
    again = upload_of(account, written(table), first.original_filename)
    assert again.columns == first.columns
    assert recipients(again) == [
        ("+4915112345681", "Bob; the first", "=1+1"),
        ("+4915112345682", "Cleo", "=1+1"),
        ("+4915112345683", "Dora", "Bonn"),
    ]
    assert again.audience is not None
    assert [row.row for row in refused_rows(again.audience)] == [5, 6]  # left as they were
    assert [row[3] for row in table_of(again)[1:]] == ["5", "6"]  # and corrected in a third round


def test_duplicates_are_apart_because_nobody_gets_a_text_twice(account: Account) -> None:
    upload = upload_of(account, FILE.encode())
    assert table_of(upload, duplicates=True)[1:] == [
        ["0151 12345678", "Anna again", "Ulm", "5", "The same number stands in an earlier row", ""]
    ]


@pytest.mark.parametrize("name", ["numbers.txt", "numbers.csv"])
def test_a_file_without_names_of_columns_gets_them(account: Account, name: str) -> None:
    table = table_of(upload_of(account, b"0151 12345678\n12345\n0151 12345679\n", name))
    assert table[0] == ["column_1", *NOTES]
    table[1][0] = "0151 12345670"
    assert recipients(upload_of(account, written(table, ","))) == [("+4915112345670",)]


def test_once_the_file_is_removed_there_are_the_numbers(account: Account) -> None:
    upload = upload_of(account, FILE.encode())
    upload_path(upload).unlink()
    assert [row[:3] for row in table_of(upload)[1:]] == [
        ["12345", "", ""],
        ["+49151123456", "", ""],
        ["", "", ""],
        ["", "", ""],
        ["", "", ""],
    ]
    assert "Dora" in table_of(upload)[3][5]


def test_what_is_said_of_the_file_counts(account: Account) -> None:
    table = [["a", "b", *NOTES], ["0151 12345678", "0151 12345679", "2", "No", "0151 12345600"]]
    upload = upload_of(account, written(table), phone_column="b", country="DE")
    assert (upload.columns, [phone for phone, _ in recipients(upload)]) == (["a", "b"], ["+4915112345679"])


def test_a_long_file_goes_on_where_its_reader_was_killed(account: Account, settings: Any) -> None:
    settings.CHUNK_SIZE, settings.TASK_BUDGET = 1, 0
    table = [["phone", "name", *NOTES], *([f"0151 1234567{n}", "'=1", str(n), "No", ""] for n in range(5))]
    upload = upload_of(account, written(table))
    assert upload.phone_count == 5
    assert upload.audience is not None
    bodies = [unpack_body(body) for body in upload.audience.chunks.values_list("body", flat=True)]
    assert [body.values for body in bodies] == [[[f"0151 1234567{n}", "=1"]] for n in range(5)]


def test_it_is_downloaded_from_the_page_of_the_file(client: Client, account: Account, tmp_path: Path) -> None:
    upload = upload_of(account, FILE.encode())
    client.force_login(MembershipFactory(account=account).user)
    page = client.get(reverse("upload-detail", args=[upload.upload_id])).content.decode()
    address = reverse("upload-refused-csv", args=[upload.upload_id])
    assert f'href="{address}"' in page
    assert f'href="{address}?duplicates=yes"' in page
    for query, name in (("", "people-to-correct.csv"), ("?duplicates=yes", "people-duplicates.csv")):
        answer = client.get(address + query)
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert b"smsapp_reason" in b"".join(answer)
