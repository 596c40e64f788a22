"""The public id of a message: known before anything is sent, and given to the provider as its id.

`message_id` = installation prefix + 11 characters base32 of the sealed key + check character, e.g. `k3x9ag3v1x8mc0045`.
The key is `batch_id * 1024 + n`, so it also names the batch and the index in it. It is sealed so that two ids do not
tell how many messages were sent between them: the batch's part is permuted with keys of this installation. The view
`sms_messages` makes the same text in SQL.

A call's reference names batch, ordinal of the call, account, mode and campaign: by it alone the provider's log says
whose a message is.
"""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from django.db import OperationalError

from accounts.choices import Mode
from accounts.models import Setting
from messaging.seal import Seal

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
LENGTH = 11
CHECK_MODULUS = 29  # a prime below 32 with 32 % 29 == 3: finds a wrong character and two swapped ones
BATCH_SHIFT = 10
MAX_IN_BATCH = 1 << BATCH_SHIFT
PREFIX_KEY = "installation_prefix"
SEAL_KEYS = [f"message_id_seal_{index}" for index in range(9)]  # the last batch with unsealed ids, and eight keys

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]  # the ten bits of an index in a batch
_PYTHON_DIGITS = b"0123456789abcdefghijklmnopqrstuv"  # digits that int(…, 32) reads
#: From our digits to Python's, and from anything else to a byte that int refuses.
_TO_PYTHON = bytes(dict(zip(ALPHABET.encode(), _PYTHON_DIGITS, strict=True)).get(byte, ord("!")) for byte in range(256))


@cache
def installation_prefix() -> str:
    """Return five random characters made with the database, so that ids of installations never collide."""
    return Setting.objects.get(key=PREFIX_KEY).value


class NotMigrated(OperationalError):
    """The database is older than this version. Handled like an outage: the same request works after `migrate`."""


@cache
def seal() -> Seal:
    """Return the seal of this installation, made by a migration.

    Raises NotMigrated before that migration. An id made without the seal would look like one of an earlier version,
    and after 10,000 more batches its delivery report would belong to no message.
    """
    values = dict(Setting.objects.filter(key__in=SEAL_KEYS).values_list("key", "value"))
    if len(values) < len(SEAL_KEYS):
        raise NotMigrated("The keys of message ids are missing. Run `python manage.py migrate`.")
    after, *keys = (int(values[key]) for key in SEAL_KEYS)
    return Seal(after, tuple(keys))


def make_message_pk(batch_id: int, n: int) -> int:
    return (batch_id << BATCH_SHIFT) + n


def batch_of(message_pk: int) -> int:
    return message_pk >> BATCH_SHIFT


def batch_range(batch_id: int) -> tuple[int, int]:
    """Return the lowest and the highest key of a message of this batch."""
    return make_message_pk(batch_id, 0), make_message_pk(batch_id, MAX_IN_BATCH - 1)


def public_id(message_pk: int) -> str:
    """Return the public id of a message."""
    batch, index = message_pk >> BATCH_SHIFT, message_pk & (MAX_IN_BATCH - 1)
    digits, remainder = _batch_digits(batch)
    return f"{installation_prefix()}{digits}{_PAIRS[index]}{ALPHABET[(remainder + index) % CHECK_MODULUS]}"


@lru_cache(maxsize=4096)
def _batch_digits(batch_id: int) -> tuple[str, int]:
    """Return the digits of the sealed batch, and the remainder of its first key by the modulus."""
    sealed = seal().sealed(batch_id)
    digits = "".join(ALPHABET[(sealed >> shift) & 31] for shift in range(5 * (LENGTH - 3), -1, -5))
    return digits, (sealed << BATCH_SHIFT) % CHECK_MODULUS


def parse_public_id(public: str) -> int | None:
    """Return the key behind a public id, or None if it is not an id of this installation."""
    prefix = installation_prefix()
    if len(public) != len(prefix) + LENGTH + 1 or not public.startswith(prefix):
        return None
    try:
        sealed = int(public[len(prefix) : -1].encode("ascii").translate(_TO_PYTHON), 32)
    except ValueError:
        return None
    if ALPHABET[sealed % CHECK_MODULUS] != public[-1]:
        return None
    batch_id = _opened(sealed >> BATCH_SHIFT)
    return None if batch_id is None else make_message_pk(batch_id, sealed & (MAX_IN_BATCH - 1))


@lru_cache(maxsize=4096)
def _opened(sealed: int) -> int | None:
    return seal().opened(sealed)


_MODES = {mode[0]: mode for mode in Mode.values}
_CALL_NAME = re.compile(rf"([0-9]{{1,15}})-([0-9]{{1,9}})(?:-([0-9]{{1,15}})([{''.join(_MODES)}])-([0-9a-z-]+))?")
_BULK = "bulk-"


class CallName(NamedTuple):
    """`ordinal`: of the call in its batch. Calls of earlier versions have `account_id` 0 and the rest empty."""

    batch_id: int
    ordinal: int
    account_id: int = 0
    mode: str = ""
    bulk_id: str = ""

    @property
    def reference(self) -> str:
        """Return the reference: at most 60 characters, of which the provider accepts 100."""
        bulk = self.bulk_id.removeprefix(_BULK)
        return f"{installation_prefix()}-{self.batch_id}-{self.ordinal}-{self.account_id}{self.mode[0]}-{bulk}"[:60]


def read_call_name(reference: str) -> CallName | None:
    """Return the name of a call, or None for one of another installation."""
    stem = f"{installation_prefix()}-"
    found = _CALL_NAME.fullmatch(reference.removeprefix(stem)) if reference.startswith(stem) else None
    if found is None:
        return None
    batch_id, ordinal, account_id, mode, bulk = found.groups()
    if account_id is None:
        return CallName(int(batch_id), int(ordinal))
    return CallName(int(batch_id), int(ordinal), int(account_id), _MODES[mode], f"{_BULK}{bulk}")
