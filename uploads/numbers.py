"""Reads one phone number as a person wrote it."""

from accounts.models import Account
from smsapp.core.exceptions import InvalidPhoneNumber
from smsapp.lib.phone import RefusedNumber, parse_number
from uploads.choices import RowReason


def read_number(account: Account, text: str) -> str:
    """Return a number, written in any way, in E.164. Raises InvalidPhoneNumber naming `phone_number`."""
    try:
        return parse_number(text, account.default_country)
    except RefusedNumber as refusal:
        words = str(RowReason(refusal.reason).label)
        raise InvalidPhoneNumber(words, "phone_number", text, problem=refusal.reason) from None
