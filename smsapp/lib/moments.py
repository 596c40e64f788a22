"""Times as text."""

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """Return a time in ISO 8601, in UTC with `Z`, as the API and webhooks write it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
