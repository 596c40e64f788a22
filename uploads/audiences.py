"""Audiences: the recipients of a campaign, stored in chunks, whether from a request or a file."""

from collections.abc import Iterator, Sequence
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from smsapp.core.exceptions import NotFound, UploadInvalid, UploadNotReady
from smsapp.database.prepared_insert import Inserts
from smsapp.lib.phone import RefusedNumber, parse_number
from uploads import chunks
from uploads.choices import AudienceSource, RowReason, UploadStatus
from uploads.chunks import Recipients, RefusedRow
from uploads.files.parsing import Rows
from uploads.files.reading import packed, store_chunk
from uploads.models import Audience, AudienceChunk, Upload

_insert_audiences = Inserts(Audience)
_insert_chunks = Inserts(AudienceChunk)


def screen_numbers(raw: Sequence[str], country: str) -> tuple[list[tuple[int, str]], list[RefusedRow]]:
    """Return the valid numbers of a request as (position, E.164), and the rejected, including every duplicate.

    Positions count from 1, like the rows of a file. `country`: an ISO code in upper case.
    """
    good: list[tuple[int, str]] = []
    refused: list[RefusedRow] = []
    seen: set[str] = set()
    for position, text in enumerate(raw, 1):
        try:
            phone = parse_number(text, country)
        except RefusedNumber as refusal:
            reason = refusal.reason if text.strip() else RowReason.NO_NUMBER.value
            refused.append(RefusedRow(position, reason, chunks.shown(text), refusal.detail))
            continue
        if phone in seen:
            refused.append(RefusedRow(position, RowReason.DUPLICATE.value, chunks.shown(text), ""))
        else:
            seen.add(phone)
            good.append((position, phone))
    return good, refused


def audience_from_numbers(
    account: Account,
    numbers: Sequence[tuple[int, str]],
    columns: Sequence[str] = (),
    values: Sequence[Sequence[str]] | None = None,
    refused: Sequence[RefusedRow] = (),
) -> Audience:
    """Store the numbers of a request as an audience, in chunks like those of a file.

    `numbers`: (position, E.164), as `screen_numbers` returns them. `values`: for each of them the values of `columns`;
    raises ValueError if the lengths do not agree.
    """
    rows = [[] for _ in numbers] if values is None else [list(row) for row in values]
    if len(rows) != len(numbers) or any(len(row) != len(columns) for row in rows):
        raise ValueError("every number needs one value for each column")
    step = settings.CHUNK_SIZE
    starts = range(0, len(numbers) or 1, step)
    audience = Audience(
        account=account,
        source=AudienceSource.REQUEST,
        columns=list(columns),
        chunk_count=len(starts),
        recipient_count=len(numbers),
    )
    stored = []
    for number, start in enumerate(starts):
        part = numbers[start : start + step]
        positions = [position for position, _ in part]
        # Positions are those of the request: a chunk holds what was rejected up to its last number.
        bad = list(refused) if start == 0 else []
        last = max([*positions, *(row.row for row in bad)], default=0)
        found = Rows(positions, [phone for _, phone in part], list(rows[start : start + step]), bad, last)
        stored.append(packed(audience, number, found))
    with transaction.atomic(savepoint=False):
        _insert_audiences([audience])
        for chunk in stored:
            chunk.audience = audience
        _insert_chunks(stored)
    return audience


def audience_to_fill(account: Account, columns: Sequence[str] = ()) -> Audience:
    """Store an audience without recipients: `add_recipients` adds them chunk by chunk."""
    return Audience.objects.create(account=account, source=AudienceSource.RESEND, columns=list(columns))


def empty_audience(account: Account) -> Audience:
    """Store the audience of a draft whose recipients are not known yet."""
    return Audience.objects.create(account=account, source=AudienceSource.EMPTY)


def add_recipients(audience: Audience, recipients: Recipients) -> None:
    """Store up to CHUNK_SIZE recipients as the next chunk of an audience.

    Inside the caller's transaction, which makes sure that nobody else adds; raises IntegrityError if somebody did.
    """
    store_chunk(audience, audience.chunk_count, *recipients, refused=[], last_row=max(recipients.rows))
    audience.refresh_from_db()


def last_recipient(audience: Audience) -> tuple[int, str] | None:
    """Return row and E.164 of the recipient stored last; None if there is none."""
    body = audience.chunks.order_by("-number").values_list("body", flat=True).first()
    if body is None:
        return None
    recipients = chunks.unpack_body(body)
    return recipients.rows[-1], recipients.phones[-1]


def ready_audience(account: Account, upload_id: str) -> Audience:
    """Return the audience of an upload.

    Raises NotFound, UploadNotReady while it is being read, or UploadInvalid if it could not be.
    """
    upload = Upload.objects.for_account(account).select_related("audience").filter(upload_id=upload_id).first()
    if upload is None:
        raise NotFound(_("There is no such upload."), field="upload_id", value=upload_id)
    if upload.status == UploadStatus.FAILED:
        raise UploadInvalid(
            _("This upload cannot be used: %(reason)s") % {"reason": upload.failure_reason}, "upload_id", upload_id
        )
    if upload.status != UploadStatus.READY or upload.audience is None:
        raise UploadNotReady(
            _("This upload is still being read. Try again when it is ready."), current_status=upload.status
        )
    return upload.audience


def numbers(audience: Audience, offset: int = 0, limit: int = 100) -> list[tuple[int, str]]:
    """Return one page of an audience's recipients: (row, E.164), in the order of the file."""
    page: list[tuple[int, str]] = []
    for body, start in _packed_from(audience, "good_count", "body", offset):
        recipients = chunks.unpack_body(body)
        end = start + limit - len(page)
        page.extend(zip(recipients.rows[start:end], recipients.phones[start:end], strict=True))
        if len(page) >= limit:
            break
    return page


def refused_rows(audience: Audience, offset: int = 0, limit: int | None = None) -> Iterator[RefusedRow]:
    """Yield rejected rows in the order of the file; all of them from `offset` on if `limit` is None."""
    rows = (
        row
        for packed, start in _packed_from(audience, "bad_count", "refused", offset)
        for row in chunks.unpack_refused(packed)[start:]
    )
    return islice(rows, limit)


def _packed_from(audience: Audience, count: str, content: str, offset: int) -> Iterator[tuple[bytes | memoryview, int]]:
    """Yield the packed parts from a row on, and how many rows of each to skip. Reads no chunk before it."""
    stored = AudienceChunk.objects.filter(audience=audience)
    for pk, rows in stored.order_by("number").values_list("pk", count):
        if offset >= rows:
            offset -= rows
            continue
        yield stored.values_list(content, flat=True).get(pk=pk), offset
        offset = 0
