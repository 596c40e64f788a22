"""Log lines never hold a credential, wherever it came from: a message, its arguments or a traceback."""

import logging
import re

_API_KEY = re.compile(r"(sms_(?:live|test)_[a-z0-9]{10})_[A-Za-z0-9_-]+")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def redacted(text: str) -> str:
    """API keys without their secret, tokens not at all."""
    return _TOKEN.sub("[token]", _API_KEY.sub(r"\1_[secret]", text))


class RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
