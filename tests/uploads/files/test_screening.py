"""What a file may not be or contain, judged by its content."""

import gzip
import io
import tarfile
import zipfile

import pytest

from smsapp.core.exceptions import UploadInvalid
from uploads.files.screening import Screening, check_name

NUMBERS = b"name;phone\nAnna;+491713920012\n"


def screen(content: bytes, block: int = 64 * 1024) -> None:
    screening = Screening()
    for start in range(0, len(content), block):
        screening.feed(content[start : start + block])
    screening.finish()


def tar_of(content: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        entry = tarfile.TarInfo("numbers.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def zip_of(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, NUMBERS)
    return target.getvalue()


REFUSED = [
    (b"", "empty"),
    (b"\x7fELF\x02\x01\x01" + NUMBERS, "program"),
    (b"MZ\x90\x00\x03" + NUMBERS, "program"),
    (b"\xcf\xfa\xed\xfe" + NUMBERS, "program"),
    (b"#!/bin/sh\n" + NUMBERS, "script"),
    (b"<?php echo 1;" + NUMBERS, "script"),
    (zip_of("numbers.csv"), "archive"),
    (zip_of("xl/workbook.xml"), "spreadsheet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NUMBERS, "spreadsheet"),
    (gzip.compress(NUMBERS), "archive"),
    (tar_of(NUMBERS), "archive"),
    (b"Rar!\x1a\x07\x00" + NUMBERS, "archive"),
    (b"7z\xbc\xaf\x27\x1c" + NUMBERS, "archive"),
    (b"\xfd7zXZ\x00" + NUMBERS, "archive"),
    (b"BZh91AY&SY" + NUMBERS, "archive"),
    (b"%PDF-1.7\n" + NUMBERS, "document"),
    (b"\x89PNG\r\n\x1a\n" + NUMBERS, "image"),
    (b"\xff\xd8\xff\xe0" + NUMBERS, "image"),
    (b"GIF89a" + NUMBERS, "image"),
    (b"\xef\xbb\xbf\n<!DOCTYPE html><p>" + NUMBERS, "web page"),
    (NUMBERS + b"Bob\x00;1\n" + NUMBERS, "NUL"),
    (NUMBERS * 200 + b"\x00", "NUL"),
]


# Numbered: an archive carries the time it was made, and a test's name must not.
@pytest.mark.parametrize(("content", "word"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_list_of_numbers_is_refused_with_a_word_that_says_why(content: bytes, word: str) -> None:
    with pytest.raises(UploadInvalid, match=word) as refusal:
        screen(content)
    assert refusal.value.details["field"] == "file"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("active", ["<script>", "<ScRiPt src=x>", "JavaScript:alert(1)"])
@pytest.mark.parametrize("block", [7, 64 * 1024])
def test_scripts_are_found_anywhere_in_any_encoding_and_across_blocks(encoding: str, active: str, block: int) -> None:
    content = f"{NUMBERS.decode() * 300}Eve {active};1\n{NUMBERS.decode() * 300}".encode(encoding)
    with pytest.raises(UploadInvalid, match="contains a script"):
        screen(content, block)


@pytest.mark.parametrize("block", range(1, 25))
def test_no_block_border_hides_a_script(block: int) -> None:
    with pytest.raises(UploadInvalid, match="javascript:"):
        screen(NUMBERS * 200 + b"x" * 3 + b"javascript:" + NUMBERS, block)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1251"])
def test_text_in_any_encoding_passes(encoding: str) -> None:
    screen("имя;phone\nАнна <3 scripts;+491713920012\n".encode(encoding))
    screen("BMW MZ BZh GIF\n".encode(encoding))


def test_only_names_of_lists_are_taken() -> None:
    assert check_name("numbers.xlsx") == ".xlsx"
    assert check_name("Numbers.CSV") == ".csv"
    assert check_name("a.b.txt") == ".txt"
    for name in ("numbers.exe", "numbers", "numbers.csv.zip", ".csv", ""):
        with pytest.raises(UploadInvalid, match="csv"):
            check_name(name)
    with pytest.raises(UploadInvalid, match="Save it as CSV"):
        check_name("numbers.xls")
