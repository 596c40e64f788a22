"""`{opt_out_link}` in a text: an address where its recipient opts out without signing in.

The link is filled in when the message is submitted. All links have the same length, so a blank one gives the length
and the cost of the text before that. A link holds the account and the keyed hash under which the number is suppressed,
with a seal: nobody can guess or forge one, and it does not reveal the number.
"""

import hashlib

from django.conf import settings

from accounts.security import own_keys
from uploads.suppressions import phone_hash

PATH = "/o/"
_ACCOUNT_BITS, _HASH_BITS, _SEAL_BITS = 30, 128, 30
_LETTERS = 32  # base 62, enough for all of these bits
_BLANK = "x" * _LETTERS
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def blank_link() -> str:
    """Return an address that is as long as each recipient's own."""
    return _address(_BLANK)


def link_of(account_id: int, phone: str) -> str:
    """Return the address of one recipient (E.164)."""
    return _address(token_of(account_id, phone))


def token_of(account_id: int, phone: str) -> str:
    hashed = phone_hash(account_id, phone)
    number = (account_id << _HASH_BITS | int(hashed, 16)) << _SEAL_BITS | _seal(account_id, hashed)
    return _in_base_62(number)


def read_token(token: str) -> tuple[int, str] | None:
    """Return the account's key and the number's keyed hash; None if the token is not ours."""
    if len(token) != _LETTERS or not set(token) <= set(_DIGITS):
        return None
    number = 0
    for letter in token:
        number = number * len(_DIGITS) + _DIGITS.index(letter)
    number, seal = divmod(number, 1 << _SEAL_BITS)
    account_id, hashed = number >> _HASH_BITS, f"{number % (1 << _HASH_BITS):032x}"
    if account_id >= 1 << _ACCOUNT_BITS or seal != _seal(account_id, hashed):
        return None
    return account_id, hashed


def _seal(account_id: int, hashed: str) -> int:
    """Return a seal too short against an offline attack, but long enough against guessing through our pages."""
    key = own_keys.key(own_keys.SUPPRESSIONS).encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    sealed = hashlib.blake2b(f"{account_id}:{hashed}".encode(), key=key, digest_size=8, person=b"opt-out link")
    return int.from_bytes(sealed.digest()) % (1 << _SEAL_BITS)


def _address(token: str) -> str:
    return f"{settings.PUBLIC_URL or f'http://127.0.0.1:{settings.PORT}'}{PATH}{token}"


def _in_base_62(number: int) -> str:
    letters = ""
    while number:
        number, index = divmod(number, len(_DIGITS))
        letters = _DIGITS[index] + letters
    return letters.rjust(_LETTERS, "0")
