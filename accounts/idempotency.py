"""A call with an Idempotency-Key is carried out once, however often it comes; repetitions get the stored answer.

The key's row is inserted first, in the transaction of the work, and holds the answer when both are committed. So a
second caller waits for the first at the unique constraint, and work that was rolled back, such as a refusal, leaves the
key free. Answers are encrypted: they may hold secrets that are shown once.
"""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import Error, OperationalError, connection, transaction
from django.utils.translation import gettext_lazy as _

from accounts.access.principal import Caller
from accounts.models import IdempotencyKey
from accounts.security.encryption import SecretUnreadable, decrypt, encrypt
from smsapp.core import clock
from smsapp.core.context import current_call
from smsapp.core.exceptions import IdempotencyInProgress, IdempotencyKeyInvalid, IdempotencyKeyReused, OutcomeUnknown
from smsapp.core.purge import Purged, remove_oldest
from smsapp.database.errors import RETRY_AFTER, is_outage

logger = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=7)
WAIT = 4  # seconds to wait for the first call; fewer than a statement of a web request may take
_KEY = re.compile(r"[ -~]{1,255}\Z")
_INSERT = f"""
    INSERT INTO {IdempotencyKey._meta.db_table} (account_id, mode, key, fingerprint, request_id, created_at, body)
    SELECT %s, %s, %s, %s, %s, %s, ''
"""
_LOCK_NOT_AVAILABLE = "55P03"  # of PostgreSQL: lock_timeout


class Answer(NamedTuple):
    """`request_id`: of the call that was carried out."""

    status_code: int
    body: bytes
    request_id: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300


def parse_key(text: str) -> str:
    """Return the key of a header, bare or in double quotes. Raises IdempotencyKeyInvalid."""
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not _KEY.match(key):
        raise IdempotencyKeyInvalid(_("A key has 1 to 255 printable ASCII characters."), "Idempotency-Key", text)
    return key


def carry_out(caller: Caller, key: str, fingerprint: str, work: Callable[[], Answer]) -> tuple[Answer, bool]:
    """Do `work` in a transaction. Return its answer, and whether it is that of an earlier call.

    `work` is rolled back unless it answers with success. Raises what it raises, and IdempotencyInProgress,
    IdempotencyKeyReused, or OutcomeUnknown if the database was lost during the commit or the stored answer cannot be
    read.
    """
    is_done = False
    try:
        with _transaction():
            row = _claimed(caller, key, fingerprint)
            if row.status_code is not None:
                return _kept(row, fingerprint), True
            answer = work()
            if answer.is_success:
                _keep(row, answer)
            else:
                transaction.set_rollback(True)
            is_done = answer.is_success
    except Error as error:
        if is_done and is_outage(error):
            logger.error("the database was lost in COMMIT: %s", error)
            raise OutcomeUnknown(
                "It is not known whether this was done. Ask again with the same key.", retry_after=RETRY_AFTER
            ) from error
        raise
    return answer, False


def purge(now: datetime) -> Purged:
    """Forget keys older than they are kept."""
    return remove_oldest(IdempotencyKey.objects.filter(created_at__lt=now - KEPT_FOR), "created_at")


@contextmanager
def _transaction() -> Iterator[None]:
    """Begin a transaction. On SQLite the one write lock is taken at the start: its holder may be the first call."""
    with ExitStack() as stack:
        try:
            with _brief_patience():
                stack.enter_context(transaction.atomic())
        except OperationalError as error:
            if getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise _in_progress() from error
            raise
        yield


@contextmanager
def _brief_patience() -> Iterator[None]:
    """Wait at most WAIT seconds for a lock on SQLite."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (usual,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {WAIT * 1000}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual}")


def _claimed(caller: Caller, key: str, fingerprint: str) -> IdempotencyKey:
    """Return the key's row: ours, without an answer, or the one of a call that was carried out."""
    row = IdempotencyKey(
        account=caller.account,
        mode=caller.mode,
        key=key,
        fingerprint=fingerprint,
        request_id=current_call().request_id,
    )
    try:
        row.pk = _inserted(row)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise _in_progress() from error
        raise
    return row if row.pk else IdempotencyKey.objects.get(account=caller.account, mode=caller.mode, key=key)


def _inserted(row: IdempotencyKey) -> int | None:
    """Return the id of the new row; None if its key exists. On PostgreSQL it waits up to WAIT for a running insert."""
    source = f"FROM set_config('lock_timeout', '{WAIT}s', true)" if connection.vendor == "postgresql" else "WHERE true"
    values: list[Any] = [row.account_id, row.mode, row.key, row.fingerprint, row.request_id, clock.about_now()]
    with connection.cursor() as cursor:
        cursor.execute(f"{_INSERT} {source} ON CONFLICT DO NOTHING RETURNING id", values)
        inserted = cursor.fetchone()
    return inserted[0] if inserted else None


def _in_progress() -> IdempotencyInProgress:
    return IdempotencyInProgress("A call with this key is being carried out. Ask again for its answer.", retry_after=1)


def _kept(row: IdempotencyKey, fingerprint: str) -> Answer:
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused("This key stands for another call.", "Idempotency-Key", row.key)
    assert row.status_code is not None
    try:
        return Answer(row.status_code, decrypt(row.body).encode(), row.request_id)
    except SecretUnreadable as error:
        logger.error("the answer of call %s cannot be read: %s", row.request_id, error)
        raise OutcomeUnknown(
            "This was done before, and its answer cannot be read at the moment. Ask again with the same key.",
            retry_after=RETRY_AFTER,
        ) from error


def _keep(row: IdempotencyKey, answer: Answer) -> None:
    row.status_code, row.body = answer.status_code, encrypt(answer.body.decode())
    row.save(update_fields=["status_code", "body"])
