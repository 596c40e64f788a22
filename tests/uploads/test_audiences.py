"""Numbers of a request, reading audiences back, files removed on schedule."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from tests.support.factories import AccountFactory, MembershipFactory, phones
from uploads import tasks
from uploads.audiences import audience_from_numbers, numbers, refused_rows, screen_numbers
from uploads.choices import AudienceSource
from uploads.chunks import RefusedRow, unpack_body
from uploads.files.reading import read_upload, upload_path
from uploads.services import accept_upload, remove_files

pytestmark = pytest.mark.django_db


def test_numbers_of_a_request_are_screened_with_their_places() -> None:
    raw = ["0171 3920012", "n/a", "+49 171 3920012", " ", "030 23125001", "+12015550100"]
    good, refused = screen_numbers(raw, "DE")
    assert good == [(1, "+491713920012"), (6, "+12015550100")]
    assert [(row.row, row.reason, row.value) for row in refused] == [
        (2, "not_a_number", "n/a"),
        (3, "duplicate", "+49 171 3920012"),
        (4, "no_number", " "),
        (5, "not_mobile", "030 23125001"),
    ]


def test_an_audience_of_a_request_is_stored_in_chunks_and_read_back_in_pages(settings: Any) -> None:
    settings.CHUNK_SIZE = 4
    places = list(enumerate(phones(10), 1))
    values = [[f"name {place}", phone] for place, phone in places]
    refused = [RefusedRow(11, "not_a_number", "n/a", "")]
    audience = audience_from_numbers(AccountFactory(), places, ("name", "phone"), values, refused)
    assert (audience.source, audience.chunk_count, audience.recipient_count) == (AudienceSource.REQUEST, 3, 10)
    assert audience.columns == ["name", "phone"]
    assert [unpack_body(chunk.body).values for chunk in audience.chunks.all()] == [values[:4], values[4:8], values[8:]]
    for offset in range(12):
        for limit in (1, 3, 20):
            assert numbers(audience, offset, limit) == places[offset : offset + limit]
    assert list(refused_rows(audience)) == refused


def test_numbers_without_variables_have_empty_values() -> None:
    audience = audience_from_numbers(AccountFactory(), list(enumerate(phones(2), 1)))
    assert [unpack_body(chunk.body).values for chunk in audience.chunks.all()] == [[[], []]]
    assert audience.chunks.get().last_row == 2


def test_values_that_do_not_fit_their_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="every number needs"):
        audience_from_numbers(AccountFactory(), [(1, phones(1)[0])], ("name",), [["Anna", "more"]])


def test_refused_rows_are_paged_over_chunks(settings: Any) -> None:
    settings.CHUNK_SIZE = 2
    lines = [phone if n % 3 else f"bad {n}" for n, phone in enumerate(phones(20))]
    membership = MembershipFactory()
    file = SimpleUploadedFile("n.csv", "\n".join(["phone", *lines]).encode())
    upload = accept_upload(membership.account, membership.user, file)
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert upload.audience is not None
    everything = list(refused_rows(upload.audience))
    assert [row.row for row in everything] == [n + 2 for n in range(20) if n % 3 == 0]
    for offset in range(9):
        assert list(refused_rows(upload.audience, offset, 2)) == everything[offset : offset + 2]


def test_files_are_removed_when_they_were_read_long_enough_ago(settings: Any) -> None:
    settings.UPLOAD_KEEP_HOURS = 24
    membership = MembershipFactory()
    content = b"phone\n+491713920012\n"
    read, waiting = (
        accept_upload(membership.account, membership.user, SimpleUploadedFile("n.csv", content)) for _ in range(2)
    )
    assert read_upload(read.pk, "reader")
    folder = Path(settings.UPLOAD_DIR)
    for name, hours in (("upl-orphan.csv", 25), ("upl-copying.csv", 1)):
        (folder / name).write_bytes(content)
        age = (timezone.now() - timedelta(hours=hours)).timestamp()
        os.utime(folder / name, (age, age))
    assert tasks.remove_files() == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [read.filename, waiting.filename, "upl-copying.csv"]
    )
    assert remove_files(timezone.now() + timedelta(hours=25)) == 2
    read.refresh_from_db()
    waiting.refresh_from_db()
    assert read.file_removed_at is not None
    assert waiting.file_removed_at is None
    assert [path.name for path in folder.iterdir()] == [waiting.filename]
    assert upload_path(waiting).exists()
    assert remove_files(timezone.now() + timedelta(hours=26)) == 0


def test_removing_files_works_where_nothing_was_ever_uploaded() -> None:
    assert remove_files(timezone.now()) == 0
