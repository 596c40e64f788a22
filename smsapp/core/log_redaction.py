"""Logs and Sentry get no credential and no phone number, wherever it came from.

That is a message, its arguments, an address or a traceback. Texts of messages cannot be told from other texts: none is
ever logged, and Sentry gets neither variables nor bodies.
"""

import logging
import re
from typing import Any

_API_KEY = re.compile(r"(sms_(?:live|test)_[a-z0-9]{10})_[A-Za-z0-9_-]+")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
#: In an address, what follows these is a secret, or leads to one person.
_ADDRESS = re.compile(r"(/callbacks/[\w-]+|/o|/accounts/invitations)/[^\s?\"'/]+")
_NUMBER = re.compile(r"(?<![\w.:-])((?:\+|%2B|00)?[1-9]\d{2})\d{4,10}(\d{2})(?![\w]|[.-]\d)")
_QUERY = re.compile(r"([?&](?:phone_number|number|phone|to|q)=)[^&\s\"']+")


def redacted(text: str) -> str:
    """Return a text with API keys without their secret, no tokens, and numbers by their first and last digits."""
    text = _TOKEN.sub("[token]", _API_KEY.sub(r"\1_[secret]", text))
    text = _QUERY.sub(r"\1[hidden]", _ADDRESS.sub(r"\1/[secret]", text))
    return _NUMBER.sub(r"\1…\2", text)


class RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def scrub(value: Any) -> Any:
    """Redact a structure, for Sentry."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: scrub(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(part) for part in value]
    return value
