"""A file with national numbers of another country than the account's is put right by naming that country."""

from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from openpyxl import Workbook

from tests.support.factories import MembershipFactory
from uploads.choices import UploadStatus
from uploads.files.reading import read_upload
from uploads.models import Upload

pytestmark = [pytest.mark.django_db, pytest.mark.once]
AMERICAN = ["(415) 555-2671", "(415) 555-2672", "(415) 555-2673"]


def workbook(rows: list[list[str]]) -> bytes:
    book, into = Workbook(), BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(into)
    return into.getvalue()


@pytest.fixture
def member(client: Client) -> Client:
    client.force_login(MembershipFactory(account__default_country="DE").user)
    return client


def test_a_workbook_whose_every_row_is_refused_is_read_again_as_of_its_country(member: Client) -> None:
    content = workbook([["name", "phone"], *(["Anna", number] for number in AMERICAN)])
    file = SimpleUploadedFile("customers.xlsx", content)
    answer = member.post(reverse("new-campaign"), {"which": "file", "file-file": file})
    upload = Upload.objects.get()
    read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    page = member.get(answer["Location"]).content.decode()
    assert upload.phone_count == 0
    assert 'name="country"' in page
    again = member.post(answer["Location"], {"country": "US", "phone_column": "-1", "delimiter": ""})
    assert again.status_code == 302, again.content.decode()
    other = Upload.objects.exclude(pk=upload.pk).get()
    read_upload(other.pk, "reader")
    other.refresh_from_db()
    assert (other.status, other.phone_count) == (UploadStatus.READY, 3)


def test_a_text_file_and_pasted_numbers_of_another_country_are_read_as_of_that_country(member: Client) -> None:
    rows = "\n".join(["name,phone", *(f"Anna,{number}" for number in AMERICAN)])
    file = SimpleUploadedFile("customers.csv", rows.encode())
    for form in (
        {"which": "paste", "paste-rows": rows, "paste-country": "US"},
        {"which": "file", "file-file": file, "file-country": "US"},
    ):
        answer = member.post(reverse("new-campaign"), form)
        assert answer.status_code == 302, answer.content.decode()
        upload = Upload.objects.latest("pk")
        read_upload(upload.pk, "reader")
        upload.refresh_from_db()
        assert (upload.country, upload.phone_count) == ("US", 3)
