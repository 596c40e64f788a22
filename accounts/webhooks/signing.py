"""Signatures by Standard Webhooks 1.0.0, so that receivers can check them with any of its libraries."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

SECRET_BYTES = 32


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def headers(keys: Sequence[str], event_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of one try at `at`: a signature for each of the secrets."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(event_id, at, body) for key in keys),
    }
