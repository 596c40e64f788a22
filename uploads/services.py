"""Files of recipients: accepted, read again, removed."""

import base64
import contextlib
import logging
import re
import secrets
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import UploadInvalid
from smsapp.lib.phone import is_country
from smsapp.lib.text import invisible_characters
from uploads import chunks
from uploads.audiences import ready_audience
from uploads.files.inspection import Wanted, inspect
from uploads.files.reading import upload_path
from uploads.files.screening import SPREADSHEET, check_name
from uploads.files.spreadsheets import check_workbook
from uploads.files.storing import BLOCK, check_size, store
from uploads.models import Upload
from uploads.suppressions import suppress_all

logger = logging.getLogger(__name__)

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
    """Screen, store and inspect a file, which a task then reads. Arguments are not guessed.

    A workbook is inspected by the task. `country`: ISO code of numbers in national format, the account's default if
    None. `phone_column`: a name or an index from 0. Raises PayloadTooLarge, and UploadInvalid naming what is wrong;
    then nothing is kept.
    """
    name = clean_filename(file.name or "")
    suffix = check_name(name)
    country = (country or account.default_country).upper()
    if not is_country(country):
        raise UploadInvalid(_("There is no such country code."), field="country", value=country)
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
    """Make a new upload of the same file, read with other columns; the old one stays.

    Without `phone_column` everything but the country is guessed again. Raises UploadInvalid, also once the file has
    been removed.
    """
    path = upload_path(upload)
    if upload.file_removed_at is not None or not path.exists():
        raise UploadInvalid(_("The file is no longer stored. Upload it again."), field="file")
    name = upload.original_filename
    if name.lower().endswith(SPREADSHEET) and path.suffix == ".csv":  # of a workbook only its CSV is kept
        name = f"{name[: -len(SPREADSHEET)]}.csv"
    with path.open("rb") as stored:
        file = UploadedFile(stored, name=name, size=upload.file_size)
        return accept_upload(
            upload.account,
            user,
            file,
            country=country,
            phone_column=phone_column,
            has_header=has_header if phone_column is not None else None,
            delimiter=delimiter or None,
        )


def suppress_upload(account: Account, by: User, upload_id: str) -> int:
    """Suppress the numbers of a ready upload. Return how many are new. Raises what `ready_audience` raises."""
    audience = ready_audience(account, upload_id)
    bodies = audience.chunks.order_by("number").values_list("body", flat=True).iterator(chunk_size=1)
    phones = (phone for body in bodies for phone in chunks.unpack_body(body).phones)
    return suppress_all(account, by, phones, f"upload {upload_id}")


def remove_files(now: datetime) -> int:
    """Delete files UPLOAD_KEEP_HOURS after they were read, and stray files after a day. Return their number."""
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
    """Return the last part of a client's file name, without invisible characters; at most 200 characters."""
    last = re.split(r"[/\\]", name)[-1]
    hidden = set(invisible_characters(last))
    last = "".join(character for character in last if character.isprintable() and character not in hidden).strip()
    suffix = PurePosixPath(last).suffix[:10]
    return last if len(last) <= _MAX_FILENAME else last[: _MAX_FILENAME - len(suffix)] + suffix


@transaction.atomic
def _record(upload: Upload) -> Upload:
    upload.save(force_insert=True)
    enqueue("uploads.parse", upload.pk)
    logger.info("upload %s: accepted, %s bytes", upload.upload_id, upload.file_size)
    return upload


def _orphans(now: datetime) -> list[Path]:
    """Return files older than a day that no upload waits for: leftovers of a process killed while copying."""
    oldest = (now - _ORPHAN_AGE).timestamp()
    names: set[str] = set()
    with contextlib.suppress(FileNotFoundError):  # no file was ever uploaded, or another process cleans up, too
        old = (path.name for path in Path(settings.UPLOAD_DIR).iterdir() if path.stat().st_mtime < oldest)
        names = set(islice(old, _AT_ONCE))
    kept = Upload.objects.filter(file_removed_at=None, filename__in=names).values_list("filename", flat=True)
    return [Path(settings.UPLOAD_DIR) / name for name in names.difference(kept)]
