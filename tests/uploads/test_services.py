"""A file is taken in, or refused with a reason and without a trace."""

import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from smsapp.core.exceptions import PayloadTooLarge, SmsappError, UploadInvalid
from tests.support.factories import MembershipFactory
from uploads.choices import UploadStatus
from uploads.files.reading import upload_path
from uploads.models import Upload
from uploads.services import accept_upload, clean_filename

pytestmark = pytest.mark.django_db

CONTENT = b"name;phone\nAnna;0171 3920012\n"


def accept(content: bytes = CONTENT, name: str = "numbers.csv", **options: Any) -> Upload:
    membership = MembershipFactory()
    return accept_upload(membership.account, membership.user, SimpleUploadedFile(name, content), **options)


def test_a_file_is_stored_inspected_and_its_reading_woken(
    django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[Any] = []
    monkeypatch.setattr(
        "smsapp.core.enqueue.current_app.send_task", lambda name, args, **options: woken.append((name, args))
    )
    with django_capture_on_commit_callbacks(execute=True):
        upload = accept()
    upload = Upload.objects.get(pk=upload.pk)
    assert woken == [("uploads.parse", (upload.pk,))]
    assert (upload.status, upload.country, upload.encoding, upload.delimiter) == (
        UploadStatus.UPLOADED,
        "DE",
        "utf-8",
        ";",
    )
    assert (upload.columns, upload.phone_column, upload.has_header) == (["name", "phone"], 1, True)
    assert (upload.file_size, upload.checksum) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    path = upload_path(upload)
    assert path.read_bytes() == CONTENT
    assert path.stem == upload.upload_id
    assert upload.upload_id.startswith("upl-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_the_uploader_says_is_kept() -> None:
    upload = accept(
        b"x,1;07700 1\nhome;cell\n1;0179 3920012", country="ch", delimiter=";", has_header=False, phone_column=1
    )
    assert (upload.country, upload.delimiter, upload.has_header, upload.phone_column) == ("CH", ";", False, 1)


@pytest.mark.parametrize(
    ("content", "name", "options", "field"),
    [
        (b"", "n.csv", {}, "file"),
        (b"\x7fELF\x02\x01", "n.csv", {}, "file"),
        (CONTENT + b"<SCRIPT>", "n.csv", {}, "file"),
        (CONTENT + b"\x00", "n.csv", {}, "file"),
        (b"name;phone\n", "n.csv", {}, "file"),
        (b"name;city\nAnna;Rome\n", "n.csv", {}, "file"),
        (b"x" * 10_000_000, "n.csv", {}, "file"),
        (CONTENT, "n.xlsx", {}, "file"),
        (CONTENT, "n.csv", {"country": "XX"}, "country"),
        (CONTENT, "n.csv", {"phone_column": "fax"}, "phone_column"),
        (CONTENT, "n.csv", {"delimiter": "~"}, "delimiter"),
    ],
)
def test_a_refused_file_leaves_nothing_behind(
    settings: Any, content: bytes, name: str, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(UploadInvalid) as refusal:
        accept(content, name, **options)
    assert refusal.value.details["field"] == field
    assert not Upload.objects.exists()
    assert not list(Path(settings.UPLOAD_DIR).glob("*"))


@pytest.mark.parametrize("declared", [None, 10])
def test_a_file_over_the_limit_is_refused_whatever_size_it_declares(settings: Any, declared: int | None) -> None:
    settings.UPLOAD_MAX_BYTES = 10_000
    membership = MembershipFactory()
    file = SimpleUploadedFile("n.csv", CONTENT * 1000)
    file.size = file.size if declared is None else declared
    with pytest.raises(PayloadTooLarge) as refusal:
        accept_upload(membership.account, membership.user, file)
    assert isinstance(refusal.value, SmsappError)
    assert not Upload.objects.exists()
    assert not list(Path(settings.UPLOAD_DIR).glob("*"))


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("C:\\Users\\eve\\list.CSV", "list.CSV"),
        ("a\x00b\n\u202evsc.csv", "abvsc.csv"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
        ("Größe 🌻.txt", "Größe 🌻.txt"),
    ],
)
def test_a_clients_file_name_is_cleaned(name: str, cleaned: str) -> None:
    assert clean_filename(name) == cleaned
