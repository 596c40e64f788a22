"""Moments as text."""

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """Return ISO 8601 in UTC with `Z`, as in the API and webhooks."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
