"""A file is read once, whoever reads it and however often the reader is killed."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from tests.data import make_customers
from tests.support.factories import MembershipFactory
from uploads import chunks, tasks
from uploads.audiences import numbers, refused_rows
from uploads.choices import UploadStatus
from uploads.files import reading
from uploads.files.parsing import RowReader
from uploads.files.reading import read_upload, upload_path
from uploads.models import AudienceChunk, Upload
from uploads.services import accept_upload

pytestmark = pytest.mark.django_db

SAMPLE = Path(make_customers.__file__).with_name("customers.csv").read_bytes()


class Killed(BaseException):
    """What a kill does to a reader: nothing after it runs."""


@pytest.fixture(autouse=True)
def small_chunks(settings: Any) -> None:
    settings.CHUNK_SIZE = 100


def upload_of(content: bytes, name: str = "n.csv", **options: Any) -> Upload:
    membership = MembershipFactory()
    return accept_upload(membership.account, membership.user, SimpleUploadedFile(name, content), **options)


def end_lease(upload: Upload) -> None:
    Upload.objects.filter(pk=upload.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def stored(upload: Upload) -> list[tuple[Any, ...]]:
    chunks = AudienceChunk.objects.filter(audience=upload.audience).order_by("number")
    fields = ("number", "checksum", "good_count", "bad_count", "last_row")
    return [(*row[:-1], bytes(row[-1])) for row in chunks.values_list(*fields, "refused")]


def kill_after(monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
    real, left = reading._commit, iter(range(commits))

    def commit(*args: Any, **options: Any) -> None:
        if next(left, None) is None:
            raise Killed
        real(*args, **options)

    monkeypatch.setattr(reading, "_commit", commit)


def test_the_sample_file_becomes_recipients_and_refused_rows() -> None:
    upload = upload_of(SAMPLE)
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert (upload.status, upload.row_count, upload.bytes_read) == (UploadStatus.READY, 1000, len(SAMPLE))
    assert (upload.phone_count, upload.invalid_count, upload.duplicate_count) == (954, 24, 22)
    audience = upload.audience
    assert audience is not None
    assert (audience.recipient_count, audience.chunk_count) == (954, 10)
    assert audience.columns == ["name", "phone", "city", "order", "amount"]
    recipients, refused = numbers(audience, 0, 2000), list(refused_rows(audience))
    assert sorted([row for row, _ in recipients] + [row.row for row in refused]) == list(range(2, 1002))
    assert len({phone for _, phone in recipients}) == 954
    assert sum(row.reason == "duplicate" for row in refused) == 22
    assert upload.processed_at is not None


@pytest.mark.parametrize("commits", [0, 1, 4, 9, 10])
def test_a_reader_killed_after_any_chunk_is_taken_over_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    whole = upload_of(SAMPLE)
    read_upload(whole.pk, "reader")
    whole.refresh_from_db()
    upload = upload_of(SAMPLE)
    with monkeypatch.context() as patch:
        kill_after(patch, commits)
        if commits < 10:
            with pytest.raises(Killed):
                read_upload(upload.pk, "killed")
        else:
            patch.setattr(reading, "_finish", lambda upload: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                read_upload(upload.pk, "killed")
    assert not read_upload(upload.pk, "too early")
    end_lease(upload)
    assert read_upload(upload.pk, "second")
    upload.refresh_from_db()
    assert stored(upload) == stored(whole)
    assert upload.lease_epoch == 2
    for counter in ("row_count", "phone_count", "invalid_count", "duplicate_count", "bytes_read"):
        assert getattr(upload, counter) == getattr(whole, counter)


def test_the_numbers_of_a_slice_are_let_go_without_the_garbage_collector(settings: Any) -> None:
    """It comes by seldom in a worker, and phonenumbers leaves a cycle behind with each `+0049…`."""
    settings.TASK_BUDGET = 0
    upload = upload_of(b"".join(b"+00491713920%03d\n" % n for n in range(101)), "n.txt")
    gc.collect()
    gc.disable()
    try:
        assert not read_upload(upload.pk, "reader")
        holders = [held for held in gc.get_objects() if type(held) is set and 491713920000 in held]
    finally:
        gc.enable()
    assert not holders


def test_a_reader_that_lost_its_lease_changes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = upload_of(SAMPLE)
    real, calls = reading._commit, iter(range(100))

    def commit(*args: Any, **options: Any) -> None:
        if next(calls) == 2:  # while this reader works on its third chunk, its lease passes to another
            end_lease(upload)
            monkeypatch.setattr(reading, "_commit", real)
            assert read_upload(upload.pk, "other")
        real(*args, **options)

    monkeypatch.setattr(reading, "_commit", commit)
    assert not read_upload(upload.pk, "slow")
    upload.refresh_from_db()
    assert (upload.status, upload.phone_count, upload.lease_owner) == (UploadStatus.READY, 954, "other")
    assert [chunk[0] for chunk in stored(upload)] == list(range(10))


def test_a_long_file_is_read_in_slices_that_wake_each_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    settings.TASK_BUDGET = 0.0
    woken: list[Any] = []
    monkeypatch.setattr(
        "smsapp.core.enqueue.current_app.send_task", lambda name, args, **options: woken.append((name, args))
    )
    upload = upload_of(SAMPLE)
    slices = 0
    with django_capture_on_commit_callbacks(execute=True):
        while not tasks.parse(upload.pk):
            slices += 1
            assert slices < 20
    upload.refresh_from_db()
    assert (upload.status, upload.phone_count, slices) == (UploadStatus.READY, 954, 10)
    assert woken.count(("uploads.parse", (upload.pk,))) == 10


def test_a_finished_upload_is_not_read_again() -> None:
    upload = upload_of(SAMPLE)
    assert read_upload(upload.pk, "one")
    assert not read_upload(upload.pk, "two")
    assert len(stored(Upload.objects.get(pk=upload.pk))) == 10


def test_only_bad_rows_fail_with_the_reason_and_keep_their_errors() -> None:
    upload = upload_of(b"name;phone\nAnna;n/a\nBob;030 23125001\nEve;?\n")
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert (upload.status, upload.row_count, upload.invalid_count) == (UploadStatus.FAILED, 3, 3)
    assert "None of the 3 rows" in upload.failure_reason
    assert "not a phone number" in upload.failure_reason
    assert upload.audience is not None
    assert [(row.row, row.reason) for row in refused_rows(upload.audience)] == [
        (2, "not_a_number"),
        (3, "not_mobile"),
        (4, "not_a_number"),
    ]


def test_a_file_that_vanished_or_changed_fails_with_the_reason() -> None:
    gone, cut = upload_of(SAMPLE), upload_of(SAMPLE)
    upload_path(gone).unlink()
    upload_path(cut).write_bytes(SAMPLE[:5000])
    for upload, word in ((gone, "no longer there"), (cut, "has changed")):
        assert read_upload(upload.pk, "reader")
        upload.refresh_from_db()
        assert upload.status == UploadStatus.FAILED
        assert word in upload.failure_reason


def test_a_file_that_breaks_half_way_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*args: Any) -> Iterator[Any]:
        yield from islice(real(*args), 2)
        raise OSError(5, "Input/output error")

    real = RowReader.slices
    monkeypatch.setattr(RowReader, "slices", breaks)
    upload = upload_of(SAMPLE)
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert upload.status == UploadStatus.FAILED
    assert upload.failure_reason == "The file cannot be read: Input/output error."


def test_a_chunk_is_packed_before_the_database_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []
    real, outer = chunks.pack_body, len(connection.savepoint_ids)

    def pack_body(*args: Any) -> bytes:
        locked.append(len(connection.savepoint_ids) > outer)
        return real(*args)

    monkeypatch.setattr(chunks, "pack_body", pack_body)
    assert read_upload(upload_of(SAMPLE).pk, "reader")
    assert locked == [False] * 10


def test_too_many_rows_fail_with_the_limit(settings: Any) -> None:
    settings.UPLOAD_MAX_ROWS = 999
    upload = upload_of(SAMPLE)
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert (upload.status, upload.failure_reason) == (UploadStatus.FAILED, "The file has more than 999 rows.")


def test_a_file_that_kills_every_reader_is_given_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MAX_LEASES = 3
    upload = upload_of(SAMPLE)
    with monkeypatch.context() as patch:
        kill_after(patch, 0)
        for _ in range(3):
            with pytest.raises(Killed):
                read_upload(upload.pk, "killed")
            end_lease(upload)
    assert read_upload(upload.pk, "last")
    upload.refresh_from_db()
    assert (upload.status, upload.failure_reason) == (
        UploadStatus.FAILED,
        "Reading the file was interrupted too often.",
    )


def test_a_chunk_is_closed_after_many_bad_rows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MAX_BAD_ROWS", 50)
    upload = upload_of(b"phone\n" + b"n/a\n" * 120 + b"+491713920012\n")
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert [(good, bad, last) for _, _, good, bad, last, _ in stored(upload)] == [
        (0, 50, 51),
        (0, 50, 101),
        (1, 20, 122),
    ]
    assert upload.status == UploadStatus.READY


def test_one_number_a_line_is_read_with_its_placeholder_column() -> None:
    upload = upload_of("phone\n+491713920012\n0171 392 00 12\n".encode("utf-16"), "n.txt")
    assert read_upload(upload.pk, "reader")
    upload.refresh_from_db()
    assert (upload.phone_count, upload.duplicate_count, upload.columns) == (1, 1, ["phone"])


def test_waiting_uploads_are_woken_until_they_are_read(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[Any] = []
    monkeypatch.setattr(
        "smsapp.core.enqueue.current_app.send_task", lambda name, args, **options: woken.append(args[0])
    )
    new, leased, left, ready = (upload_of(SAMPLE) for _ in range(4))
    for upload, seconds in ((leased, 60), (left, -60)):
        until = timezone.now() + timedelta(seconds=seconds)
        Upload.objects.filter(pk=upload.pk).update(status=UploadStatus.PROCESSING, lease_until=until)
    read_upload(ready.pk, "reader")
    with django_capture_on_commit_callbacks(execute=True):
        assert tasks.enqueue_waiting() == 2
    assert woken == [new.pk, left.pk]


@pytest.mark.postgresql  # tests on SQLite have their database in memory, where no second process can reach it
@pytest.mark.django_db(transaction=True)
def test_a_reader_killed_with_sigkill_again_and_again_loses_and_doubles_nothing(tmp_path: Path, settings: Any) -> None:
    """A real process, killed while it reads; the last one is left alone. The chunks are those of one quiet reading."""
    path = tmp_path / "big.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        make_customers.write(file, 3000, 5)
    whole, upload = upload_of(path.read_bytes()), upload_of(path.read_bytes())
    read_upload(whole.pk, "reader")
    whole.refresh_from_db()
    database = connection.settings_dict
    login = f"{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    program = (
        "import django, sys; django.setup()\n"
        "from django.conf import settings; from pathlib import Path\n"
        "settings.UPLOAD_DIR = Path(sys.argv[2])\n"
        "from uploads.files.reading import read_upload\n"
        "print('reading', flush=True); sys.exit(0 if read_upload(int(sys.argv[1]), 'child') else 3)"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.test",
        "DATABASE_URL": f"postgres://{login}/{database['NAME']}",
        "CHUNK_SIZE": "100",
        "MAX_LEASES": "50",
    }
    command = [sys.executable, "-c", program, str(upload.pk), str(settings.UPLOAD_DIR)]
    kills = 0
    for _ in range(3):
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        before = AudienceChunk.objects.filter(audience__upload=upload).count()
        deadline = time.monotonic() + 20
        while child.poll() is None and time.monotonic() < deadline:
            if AudienceChunk.objects.filter(audience__upload=upload).count() > before + 4:
                child.send_signal(signal.SIGKILL)
                break
        kills += child.wait(20) == -signal.SIGKILL
        child.stdout.close()
        end_lease(upload)
    settings.MAX_LEASES = 50
    read_upload(upload.pk, "last")
    upload.refresh_from_db()
    assert kills >= 2
    assert upload.status == UploadStatus.READY
    assert stored(upload) == stored(whole)
    assert (upload.row_count, upload.phone_count) == (whole.row_count, whole.phone_count)
