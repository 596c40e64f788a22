"""The Retry-After header of an HTTP response (RFC 9110, section 10.2.3)."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

DAY = 86_400.0  # seconds


def retry_after_seconds(headers: Mapping[str, str], most: float = DAY) -> float | None:
    """Return the seconds to wait, at most `most`; None if the header is missing or unreadable.

    The names of `headers` are in lower case. A date is compared with the response's own Date, not with our clock.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:9]), most)
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), most)
