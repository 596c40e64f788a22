"""Copies a file to where uploads are kept: screened, counted, and on disk when the call returns."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from smsapp.core.exceptions import PayloadTooLarge
from uploads.files.screening import Screening

BLOCK = 256 * 1024  # bytes


def store(blocks: Iterable[bytes], path: Path, *, is_text: bool = True) -> tuple[int, str]:
    """Copy a file in blocks. Return its size in bytes and its SHA-256. `is_text`: screen it as text.

    Raises UploadInvalid, PayloadTooLarge or OSError, and then leaves a part of it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    screening, digest, size = Screening() if is_text else None, hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        for block in blocks:
            size += len(block)
            check_size(size)
            if screening:
                screening.feed(block)
            digest.update(block)
            target.write(block)
        if screening:
            screening.finish()
        target.flush()
        os.fsync(target.fileno())
    return size, digest.hexdigest()


def check_size(size: int) -> None:
    """Raise PayloadTooLarge for too many bytes."""
    if size > settings.UPLOAD_MAX_BYTES:
        limit = f"{settings.UPLOAD_MAX_BYTES / 1024**2:.0f} MiB"
        raise PayloadTooLarge(_("The file is larger than %(limit)s.") % {"limit": limit}, field="file", value=size)
