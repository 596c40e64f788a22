"""A file is read once, in slices: lease the upload, commit chunk after chunk, resume after a kill at the last one.

A workbook becomes a CSV file first, which is inspected and read instead. Every commit is one transaction that begins
with a conditional update of the upload under the reader's epoch. It must change exactly one row: a reader whose lease
has passed to another stops there, and nothing of its chunk is kept.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from accounts.choices import EventType, Mode
from accounts.webhooks import emit
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import PayloadTooLarge, UploadInvalid
from smsapp.lib.sentences import Sentence
from uploads import chunks
from uploads.choices import AudienceSource, RowReason, UploadStatus
from uploads.chunks import RefusedRow
from uploads.files.inspection import inspect
from uploads.files.parsing import FileShape, RowReader, Rows
from uploads.files.screening import SPREADSHEET
from uploads.files.spreadsheets import to_csv_apart
from uploads.files.storing import BLOCK, store
from uploads.models import Audience, AudienceChunk, Upload

logger = logging.getLogger(__name__)

_MAX_BAD_ROWS = 20_000  # rejected rows after which a chunk is closed, however few recipients it has


class LeaseLost(Exception):
    """Another reader has the upload, or it is no longer to be read."""


class Unreadable(UploadInvalid):
    """The file can never be read to its end; the message is for its owner."""


def upload_path(upload: Upload) -> Path:
    return Path(settings.UPLOAD_DIR) / upload.filename


def read_upload(upload_id: int, owner: str) -> bool:
    """Read an upload (by primary key) for at most TASK_BUDGET seconds. Return True once it is `ready` or `failed`.

    1. Lease it, unless another reader has it: then nothing happens. Make a CSV file of a workbook.
    2. Rebuild from the committed chunks what was read already, and skip those rows.
    3. Commit chunk after chunk with its counters, extending the lease.
    4. At the end set `ready` or `failed`; out of time, give the lease up and enqueue the next slice.
    """
    upload = _lease(upload_id, owner)
    if upload is None:
        return False
    try:
        if upload.lease_epoch > _chunk_count(upload) + settings.MAX_LEASES:
            raise Unreadable(gettext_noop("Reading the file was interrupted too often."))
        if upload_path(upload).suffix == SPREADSHEET:
            _convert(upload)
        return _read_slice(upload)
    except LeaseLost:
        logger.warning("upload %s: lease of epoch %s lost", upload.upload_id, upload.lease_epoch)
        return False
    except (UploadInvalid, PayloadTooLarge, OSError) as error:
        reason = _system_reason(error) if isinstance(error, OSError) else error.sentence
        logger.warning("upload %s: failed: %s", upload.upload_id, reason.english)
        return _fail(upload, reason)


def store_chunk(
    audience: Audience,
    number: int,
    rows: list[int],
    phones: list[str],
    values: Sequence[Sequence[str]],
    refused: list[RefusedRow],
    last_row: int,
) -> None:
    """Write one chunk and move the audience's counts; inside the caller's transaction."""
    _store_packed(packed(audience, number, Rows(rows, phones, list(values), refused, last_row)))


@transaction.atomic
def _lease(upload_id: int, owner: str) -> Upload | None:
    now = clock.about_now()
    leased = (
        Upload.objects.waiting(now)
        .filter(pk=upload_id)
        .update(
            status=UploadStatus.PROCESSING,
            lease_owner=owner[:80],
            lease_epoch=F("lease_epoch") + 1,
            lease_until=_lease_end(now),
        )
    )
    if leased != 1:
        return None
    upload = Upload.objects.select_related("audience", "account").get(pk=upload_id)
    if upload.audience is None:
        upload.audience = Audience.objects.create(
            account=upload.account, source=AudienceSource.UPLOAD, columns=upload.columns
        )
        upload.save(update_fields=["audience"])
    return upload


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.LEASE_SECONDS)


def _chunk_count(upload: Upload) -> int:
    return upload.audience.chunk_count if upload.audience else 0


def _convert(upload: Upload) -> None:
    """Replace a workbook by its CSV file. Raises LeaseLost, Unreadable, UploadInvalid or PayloadTooLarge."""
    _check_file(upload)
    workbook = upload_path(upload)
    target = workbook.with_name(f"{upload.upload_id}-{upload.lease_epoch}.csv")  # of this reader alone
    part = target.with_suffix(".part")
    try:
        to_csv_apart(workbook, part)
        with part.open("rb") as table:
            size, digest = store(iter(lambda: table.read(BLOCK), b""), target)
        shape = inspect(target, upload.country, **upload.wanted)
        with transaction.atomic():
            until = _lease_end(clock.about_now())
            values = shape.as_fields | {"filename": target.name, "file_size": size, "checksum": digest}
            _update_leased(upload, lease_until=until, **values)
            Audience.objects.filter(upload=upload).update(columns=list(shape.columns))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        part.unlink(missing_ok=True)
    workbook.unlink(missing_ok=True)
    upload.refresh_from_db()


def _read_slice(upload: Upload) -> bool:
    _check_file(upload)
    seen, last_row = _already_read(upload)
    shape = FileShape(upload.encoding, upload.delimiter, upload.has_header, tuple(upload.columns), upload.phone_column)
    reader = RowReader(upload_path(upload), shape, upload.country, skip_rows=last_row)
    budget = Budget(settings.TASK_BUDGET)
    rows_left = settings.UPLOAD_MAX_ROWS - upload.row_count
    slices = reader.slices(seen, settings.CHUNK_SIZE, _MAX_BAD_ROWS)
    try:
        for number, found in enumerate(slices, _chunk_count(upload)):
            rows_left -= len(found)
            if rows_left < 0:
                raise Unreadable(
                    Sentence(gettext_noop("The file has more than %(max)s rows."), max=f"{settings.UPLOAD_MAX_ROWS:,}")
                )
            is_out_of_time = budget.is_over
            _commit(upload, number, found, reader.bytes_read, release=is_out_of_time)
            if is_out_of_time:
                return False
    finally:
        # phonenumbers leaves an exception in a cycle with our frames where it reads a number in a second way
        # (`+0049…`): until the collector comes by, a million numbers would stay beside those of the next slice.
        slices.close()
        seen.clear()
    return _finish(upload)


def _check_file(upload: Upload) -> None:
    try:
        size = upload_path(upload).stat().st_size
    except FileNotFoundError as error:
        raise Unreadable(gettext_noop("The file is no longer there.")) from error
    if size != upload.file_size:
        raise Unreadable(gettext_noop("The file has changed since it was uploaded."))


def _already_read(upload: Upload) -> tuple[set[int], int]:
    """Return the numbers of the committed chunks, as integers (a third of the memory of texts), and their last row."""
    seen: set[int] = set()
    last_row = 0
    committed = AudienceChunk.objects.filter(audience=upload.audience).order_by("number")
    for body, row in committed.values_list("body", "last_row").iterator(chunk_size=10):
        seen.update(map(int, chunks.unpack_body(body).phones))
        last_row = row
    return seen, last_row


def packed(audience: Audience, number: int, found: Rows) -> AudienceChunk:
    """Return a chunk that is not stored yet."""
    body = chunks.pack_body(found.rows, found.phones, found.values)
    return AudienceChunk(
        audience=audience,
        number=number,
        body=body,
        refused=chunks.pack_refused(found.refused),
        good_count=len(found.rows),
        bad_count=len(found.refused),
        last_row=found.last_row,
        checksum=chunks.checksum(body),
        prefix_counts=chunks.count_prefixes(found.phones),
    )


def _store_packed(chunk: AudienceChunk) -> None:
    chunk.save(force_insert=True)
    Audience.objects.filter(pk=chunk.audience_id).update(
        chunk_count=F("chunk_count") + 1, recipient_count=F("recipient_count") + chunk.good_count
    )


def _commit(upload: Upload, number: int, found: Rows, bytes_read: int, *, release: bool) -> None:
    assert upload.audience is not None
    chunk = packed(upload.audience, number, found)  # before the transaction: SQLite has one writer at a time
    now = clock.about_now()
    duplicates = found.duplicates
    with transaction.atomic():
        _update_leased(
            upload,
            bytes_read=bytes_read,
            row_count=F("row_count") + len(found),
            phone_count=F("phone_count") + chunk.good_count,
            invalid_count=F("invalid_count") + chunk.bad_count - duplicates,
            duplicate_count=F("duplicate_count") + duplicates,
            lease_until=now if release else _lease_end(now),
        )
        _store_packed(chunk)
        if release:
            enqueue("uploads.parse", upload.pk)


@transaction.atomic
def _finish(upload: Upload) -> bool:
    _update_leased(upload, bytes_read=upload.file_size)
    upload.refresh_from_db()
    if not upload.phone_count:
        return _fail(upload, _why_nobody(upload))
    _update_leased(upload, status=UploadStatus.READY, processed_at=clock.about_now(), lease_until=None)
    _emit_event(upload, EventType.UPLOAD_COMPLETED)
    logger.info("upload %s: ready, %s of %s rows", upload.upload_id, upload.phone_count, upload.row_count)
    return True


def _fail(upload: Upload, reason: Sentence) -> bool:
    try:
        with transaction.atomic():
            _update_leased(
                upload,
                status=UploadStatus.FAILED,
                failure_reason=reason,
                processed_at=clock.about_now(),
                lease_until=None,
            )
            _emit_event(upload, EventType.UPLOAD_FAILED)
    except LeaseLost:
        return False
    return True


def _emit_event(upload: Upload, event_type: EventType) -> None:
    """Emit an event to the endpoints of both modes: an upload has none."""
    upload.refresh_from_db()
    data = {
        "upload_id": upload.upload_id,
        "filename": upload.original_filename,
        "status": upload.status.upper(),
        "row_count": upload.row_count,
        "phone_count": upload.phone_count,
        "invalid_count": upload.invalid_count,
        "duplicate_count": upload.duplicate_count,
        "failure_reason": upload.failure_reason.english or None,
    }
    for mode in Mode:
        emit(upload.account_id, mode, event_type, data)


def _update_leased(upload: Upload, **changes: object) -> None:
    changed = Upload.objects.filter(
        pk=upload.pk, status=UploadStatus.PROCESSING, lease_epoch=upload.lease_epoch
    ).update(**changes)
    if changed != 1:
        raise LeaseLost


def _why_nobody(upload: Upload) -> Sentence:
    reasons: Counter[str] = Counter()
    stored = AudienceChunk.objects.filter(audience=upload.audience).values_list("refused", flat=True)
    for refused in stored.iterator(chunk_size=10):
        reasons.update(row.reason for row in chunks.unpack_refused(refused))
    if not reasons:
        return Sentence(gettext_noop("The file has no rows."))
    reason, count = reasons.most_common(1)[0]
    return Sentence(
        gettext_noop("None of the %(rows)s rows is valid. Most frequent reason: %(label)s (%(count)s)."),
        rows=f"{upload.row_count:,}",
        label=RowReason(reason).source,
        count=f"{count:,}",
    )


def _system_reason(error: OSError) -> Sentence:
    return Sentence(gettext_noop("The file cannot be read: %(error)s."), error=str(error.strerror or error))
