"""Who to: files taken in, audiences made of files and of requests, numbers that must never be texted."""

import base64
import contextlib
import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from accounts.models import Account, User
from smsapp.core.enqueue import wake
from smsapp.core.exceptions import NotFound, UploadInvalid, UploadNotReady
from smsapp.core.prepared_insert import Inserts
from smsapp.lib.phone import RefusedNumber, is_country, parse_number
from smsapp.lib.text import invisible_characters
from uploads import chunks
from uploads.choices import AudienceSource, RowReason, UploadStatus
from uploads.chunks import Recipients, RefusedRow
from uploads.files.inspection import Wanted, inspect
from uploads.files.parsing import Rows
from uploads.files.reading import packed, read_upload, store_chunk, upload_path
from uploads.files.screening import SPREADSHEET, check_name
from uploads.files.spreadsheets import check_workbook
from uploads.files.storing import BLOCK, check_size, store
from uploads.models import Audience, AudienceChunk, Upload
from uploads.suppressions import phone_hash, suppress, suppress_all, suppressed_among

__all__ = [
    "accept_upload",
    "add_recipients",
    "audience_from_numbers",
    "audience_to_fill",
    "empty_audience",
    "last_recipient",
    "numbers",
    "phone_hash",
    "read_again",
    "read_upload",
    "ready_audience",
    "refused_rows",
    "remove_files",
    "screen_numbers",
    "suppress",
    "suppressed_among",
    "upload_path",
]

logger = logging.getLogger(__name__)

_insert_audiences = Inserts(Audience)
_insert_chunks = Inserts(AudienceChunk)

_MAX_FILENAME = 200  # characters
_AT_ONCE = 500  # files
_ORPHAN_AGE = timedelta(days=1)


def accept_upload(
    account: Account,
    user: User,
    file: "UploadedFile[bytes]",
    *,
    country: str | None = None,
    phone_column: str | int | None = None,
    has_header: bool | None = None,
    delimiter: str | None = None,
) -> Upload:
    """Screen, store and inspect a file, which a task reads; a workbook is inspected by that. What the arguments say is
    not guessed.

    `country`: ISO code of numbers in national format, the account's default if None. `phone_column`: a name or a
    place from 0. Raises PayloadTooLarge, and UploadInvalid naming what is wrong; then nothing is kept.
    """
    name = clean_filename(file.name or "")
    suffix = check_name(name)
    country = (country or account.default_country).upper()
    if not is_country(country):
        raise UploadInvalid("There is no such country code.", field="country", value=country)
    check_size(file.size or 0)
    upload_id = "upl-" + base64.b32encode(secrets.token_bytes(15)).decode().lower()
    path = Path(settings.UPLOAD_DIR) / f"{upload_id}{suffix}"
    upload = Upload(
        account=account, user=user, upload_id=upload_id, filename=path.name, original_filename=name, country=country
    )
    wanted: Wanted = {"delimiter": delimiter, "has_header": has_header, "phone_column": phone_column}
    try:
        upload.file_size, upload.checksum = store(file.chunks(BLOCK), path, is_text=suffix != SPREADSHEET)
        if suffix == SPREADSHEET:
            check_workbook(path)
            upload.wanted = wanted
        else:
            for field, value in inspect(path, country, **wanted).as_fields.items():
                setattr(upload, field, value)
        return _record(upload)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_again(
    upload: Upload, user: User, *, country: str, phone_column: int | None, has_header: bool, delimiter: str
) -> Upload:
    """A new upload of the same file, read with other columns; the old one stays as it is. With no `phone_column`
    all but the country is guessed again.

    Raises UploadInvalid, also once the file has been removed.
    """
    path = upload_path(upload)
    if upload.file_removed_at is not None or not path.exists():
        raise UploadInvalid("The file is not kept any more: please upload it again.", field="file")
    name = upload.original_filename
    if name.lower().endswith(SPREADSHEET) and path.suffix == ".csv":  # what is kept of a workbook is the CSV of it
        name = f"{name[: -len(SPREADSHEET)]}.csv"
    with path.open("rb") as stored:
        file = UploadedFile(stored, name=name, size=upload.file_size)
        return accept_upload(
            upload.account, user, file, country=country, phone_column=phone_column,
            has_header=has_header if phone_column is not None else None, delimiter=delimiter or None,
        )  # fmt: skip


def screen_numbers(raw: Sequence[str], country: str) -> tuple[list[tuple[int, str]], list[RefusedRow]]:
    """Numbers of a request: (place, E.164) of the good ones, and the refused, among them every repetition.

    Places count from 1, as the rows of a file do. `country` is an ISO code in upper case.
    """
    good: list[tuple[int, str]] = []
    refused: list[RefusedRow] = []
    seen: set[str] = set()
    for place, text in enumerate(raw, 1):
        try:
            phone = parse_number(text, country)
        except RefusedNumber as refusal:
            reason = refusal.reason if text.strip() else RowReason.NO_NUMBER.value
            refused.append(RefusedRow(place, reason, chunks.shown(text), refusal.detail))
            continue
        if phone in seen:
            refused.append(RefusedRow(place, RowReason.DUPLICATE.value, chunks.shown(text), ""))
        else:
            seen.add(phone)
            good.append((place, phone))
    return good, refused


def audience_from_numbers(
    account: Account,
    numbers: Sequence[tuple[int, str]],
    columns: Sequence[str] = (),
    values: Sequence[Sequence[str]] | None = None,
    refused: Sequence[RefusedRow] = (),
) -> Audience:
    """Store the numbers of a request as an audience, in chunks like those of a file.

    `numbers`: (place, E.164), as `screen_numbers` gives them. `values`: for each of them the values of `columns`;
    a ValueError if the lengths do not agree.
    """
    rows = [[] for _ in numbers] if values is None else [list(row) for row in values]
    if len(rows) != len(numbers) or any(len(row) != len(columns) for row in rows):
        raise ValueError("every number needs one value for each column")
    step = settings.CHUNK_SIZE
    starts = range(0, len(numbers) or 1, step)
    audience = Audience(
        account=account, source=AudienceSource.REQUEST, columns=list(columns), chunk_count=len(starts),
        recipient_count=len(numbers),
    )  # fmt: skip
    stored = []
    for number, start in enumerate(starts):
        part = numbers[start : start + step]
        places = [place for place, _ in part]
        # Places are those of the request: what was refused up to this chunk's last number stands in it or before.
        bad = list(refused) if start == 0 else []
        last = max([*places, *(row.row for row in bad)], default=0)
        found = Rows(places, [phone for _, phone in part], list(rows[start : start + step]), bad, last)
        stored.append(packed(audience, number, found))
    with transaction.atomic(savepoint=False):
        _insert_audiences([audience])
        for chunk in stored:
            chunk.audience = audience
        _insert_chunks(stored)
    return audience


def audience_to_fill(account: Account, columns: Sequence[str] = ()) -> Audience:
    """An audience without recipients yet: `add_recipients` stores them chunk by chunk."""
    return Audience.objects.create(account=account, source=AudienceSource.RESEND, columns=list(columns))


def empty_audience(account: Account) -> Audience:
    """Of a draft whose recipients are not known yet."""
    return Audience.objects.create(account=account, source=AudienceSource.EMPTY)


def add_recipients(audience: Audience, recipients: Recipients) -> None:
    """Store up to CHUNK_SIZE recipients as the next chunk of an audience, as it was read.

    Inside the caller's transaction, which sees to it that nobody else adds; an IntegrityError if somebody did.
    """
    store_chunk(audience, audience.chunk_count, *recipients, refused=[], last_row=max(recipients.rows))
    audience.refresh_from_db()


def last_recipient(audience: Audience) -> tuple[int, str] | None:
    """Row and E.164 of the recipient that was stored last; None while there is none."""
    body = audience.chunks.order_by("-number").values_list("body", flat=True).first()
    if body is None:
        return None
    recipients = chunks.unpack_body(body)
    return recipients.rows[-1], recipients.phones[-1]


def ready_audience(account: Account, upload_id: str) -> Audience:
    """Raises NotFound, UploadNotReady while it is being read, or UploadInvalid when it could not be."""
    upload = Upload.objects.for_account(account).select_related("audience").filter(upload_id=upload_id).first()
    if upload is None:
        raise NotFound("There is no such upload.", field="upload_id", value=upload_id)
    if upload.status == UploadStatus.FAILED:
        raise UploadInvalid(f"This upload cannot be used: {upload.failure_reason}", "upload_id", upload_id)
    if upload.status != UploadStatus.READY or upload.audience is None:
        raise UploadNotReady(
            "This upload is still being read; try again when it is ready.", current_status=upload.status
        )
    return upload.audience


def suppress_upload(account: Account, by: User, upload_id: str) -> int:
    """Suppress the numbers of a ready upload; how many are new. Raises what `ready_audience` raises."""
    audience = ready_audience(account, upload_id)
    bodies = audience.chunks.order_by("number").values_list("body", flat=True).iterator(chunk_size=1)
    phones = (phone for body in bodies for phone in chunks.unpack_body(body).phones)
    return suppress_all(account, by, phones, f"upload {upload_id}")


def numbers(audience: Audience, offset: int = 0, limit: int = 100) -> list[tuple[int, str]]:
    """One page of an audience's recipients: (row, E.164), in the order of the file."""
    page: list[tuple[int, str]] = []
    for body, start in _packed_from(audience, "good_count", "body", offset):
        recipients = chunks.unpack_body(body)
        end = start + limit - len(page)
        page.extend(zip(recipients.rows[start:end], recipients.phones[start:end], strict=True))
        if len(page) >= limit:
            break
    return page


def refused_rows(audience: Audience, offset: int = 0, limit: int | None = None) -> Iterator[RefusedRow]:
    """Refused rows in the order of the file; all of them from `offset` on, in a stream, if `limit` is None."""
    rows = (
        row
        for packed, start in _packed_from(audience, "bad_count", "refused", offset)
        for row in chunks.unpack_refused(packed)[start:]
    )
    return islice(rows, limit)


def remove_files(now: datetime) -> int:
    """Delete files UPLOAD_KEEP_HOURS after they were read, and files of no upload after a day; how many."""
    removed = 0
    keep = timedelta(hours=settings.UPLOAD_KEEP_HOURS)
    while found := Upload.objects.with_file_to_remove(now, keep)[:_AT_ONCE]:
        for upload in found:
            upload_path(upload).unlink(missing_ok=True)
            removed += Upload.objects.filter(pk=upload.pk, file_removed_at=None).update(file_removed_at=now)
    for path in _orphans(now):
        path.unlink(missing_ok=True)
        removed += 1
    if removed:
        logger.info("%s uploaded files removed", removed)
    return removed


def clean_filename(name: str) -> str:
    """The last part of a client's file name, without characters that are not shown; at most 200 characters."""
    last = re.split(r"[/\\]", name)[-1]
    hidden = set(invisible_characters(last))
    last = "".join(character for character in last if character.isprintable() and character not in hidden).strip()
    suffix = PurePosixPath(last).suffix[:10]
    return last if len(last) <= _MAX_FILENAME else last[: _MAX_FILENAME - len(suffix)] + suffix


@transaction.atomic
def _record(upload: Upload) -> Upload:
    upload.save(force_insert=True)
    wake("uploads.parse", upload.pk)
    logger.info("upload %s: accepted, %s bytes", upload.upload_id, upload.file_size)
    return upload


def _packed_from(audience: Audience, count: str, content: str, offset: int) -> Iterator[tuple[bytes | memoryview, int]]:
    """The packed parts from a row on, and how many rows of each to pass over. Reads no chunk before it."""
    stored = AudienceChunk.objects.filter(audience=audience)
    for pk, rows in stored.order_by("number").values_list("pk", count):
        if offset >= rows:
            offset -= rows
            continue
        yield stored.values_list(content, flat=True).get(pk=pk), offset
        offset = 0


def _orphans(now: datetime) -> list[Path]:
    """Files older than a day that no upload waits for: what a process killed while copying has left."""
    oldest = (now - _ORPHAN_AGE).timestamp()
    names: set[str] = set()
    with contextlib.suppress(FileNotFoundError):  # no file was ever uploaded, or another process is as tidy
        old = (path.name for path in Path(settings.UPLOAD_DIR).iterdir() if path.stat().st_mtime < oldest)
        names = set(islice(old, _AT_ONCE))
    kept = Upload.objects.filter(file_removed_at=None, filename__in=names).values_list("filename", flat=True)
    return [Path(settings.UPLOAD_DIR) / name for name in names.difference(kept)]
