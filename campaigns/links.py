"""`{opt_out_link}` in a text: an address at which its recipient opts out, without signing in anywhere.

It stays in a text until that is handed over. All of these addresses are equally long, so until then a blank one says
how long the text is and what it costs. An address holds the account and the keyed hash under which a number is
suppressed: nobody can guess it, and it says nothing of the number.
"""

import base64

from django.conf import settings

from campaigns.rendering import OPT_OUT_LINK
from uploads.suppressions import phone_hash

PATH = "/o/"
_ACCOUNT_DIGITS, _HASH_LETTERS = 6, 26
_BLANK = "x" * (_ACCOUNT_DIGITS + _HASH_LETTERS)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def blank(text: str) -> str:
    """A text as long as each recipient's will be."""
    return text.replace(OPT_OUT_LINK, _address(_BLANK)) if OPT_OUT_LINK in text else text


def filled(text: str, account_id: int, phone: str) -> str:
    """The text of one recipient (E.164)."""
    return text.replace(OPT_OUT_LINK, _address(token_of(account_id, phone))) if OPT_OUT_LINK in text else text


def token_of(account_id: int, phone: str) -> str:
    hashed = base64.b32encode(bytes.fromhex(phone_hash(account_id, phone))).decode().rstrip("=").lower()
    return _in_base_36(account_id) + hashed


def read_token(token: str) -> tuple[int, str] | None:
    """Account and keyed hash of a number; None for what is no token."""
    account, hashed = token[:_ACCOUNT_DIGITS], token[_ACCOUNT_DIGITS:]
    if len(hashed) != _HASH_LETTERS or not token.isascii() or token != token.lower() or not account.isalnum():
        return None
    try:
        return int(account, 36), base64.b32decode(hashed.upper() + "======").hex()
    except ValueError:
        return None


def _address(token: str) -> str:
    return f"{settings.PUBLIC_URL or f'http://127.0.0.1:{settings.PORT}'}{PATH}{token}"


def _in_base_36(number: int) -> str:
    digits = ""
    while number:
        number, place = divmod(number, 36)
        digits = _DIGITS[place] + digits
    return digits.rjust(_ACCOUNT_DIGITS, "0")
