"""The public id of a message: known before anything is sent, given to the provider as its id.

`message_id` = installation prefix + 11 characters base32 of the number + check character, e.g.
`k3x9a0000000g4017`. The number is `batch_id * 1024 + n`, so it also names the batch and the place in it.
The same text is made in SQL by the view `sms_messages`.
"""

from functools import cache, lru_cache

from accounts.models import Setting

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u
LENGTH = 11
CHECK_MODULUS = 29  # a prime below 32 with 32 % 29 == 3: finds a wrong character and two swapped ones
BATCH_SHIFT = 10
MAX_IN_BATCH = 1 << BATCH_SHIFT
PREFIX_KEY = "installation_prefix"

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]  # the ten bits of a place in a batch
_PYTHON_DIGITS = b"0123456789abcdefghijklmnopqrstuv"  # those that int(…, 32) reads
#: From our digits to Python's, and from all else to a byte that int refuses.
_TO_PYTHON = bytes(dict(zip(ALPHABET.encode(), _PYTHON_DIGITS, strict=True)).get(byte, ord("!")) for byte in range(256))


@cache
def installation_prefix() -> str:
    """Five random characters made with the database, so that ids of two installations never meet at a provider."""
    return Setting.objects.get(key=PREFIX_KEY).value


def message_number(batch_id: int, n: int) -> int:
    return (batch_id << BATCH_SHIFT) + n


def batch_of(number: int) -> int:
    return number >> BATCH_SHIFT


def batch_range(batch_id: int) -> tuple[int, int]:
    """The lowest and the highest number a message of this batch can have."""
    return message_number(batch_id, 0), message_number(batch_id, MAX_IN_BATCH - 1)


def public_id(number: int) -> str:
    check = ALPHABET[number % CHECK_MODULUS]
    return f"{installation_prefix()}{_batch_digits(number >> BATCH_SHIFT)}{_PAIRS[number & (MAX_IN_BATCH - 1)]}{check}"


@lru_cache(maxsize=4096)
def _batch_digits(batch_id: int) -> str:
    return "".join(ALPHABET[(batch_id >> shift) & 31] for shift in range(5 * (LENGTH - 3), -1, -5))


def number_of(public: str) -> int | None:
    """The number behind a public id, or None if it is not an id of this installation."""
    prefix = installation_prefix()
    if len(public) != len(prefix) + LENGTH + 1 or not public.startswith(prefix):
        return None
    try:
        number = int(public[len(prefix) : -1].encode("ascii").translate(_TO_PYTHON), 32)
    except ValueError:
        return None
    return number if ALPHABET[number % CHECK_MODULUS] == public[-1] else None
