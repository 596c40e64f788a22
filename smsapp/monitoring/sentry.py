"""Error reports to Sentry, without personal data."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from smsapp import __version__
from smsapp.core.log_redaction import scrub

KEPT_HEADERS = ("User-Agent", "Content-Type", "Content-Length", "X-Request-Id")


def begin(dsn: str, **options: Any) -> None:
    """Start sending errors. Raises ImproperlyConfigured if the library is not installed."""
    try:
        import sentry_sdk
    except ImportError:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, but sentry-sdk is not installed: pip install -r requirements/prod.txt"
        ) from None
    sentry_sdk.init(
        dsn=dsn,
        release=__version__,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=clean,
        before_send_transaction=clean,
        before_breadcrumb=clean,
        **options,
    )


def clean(event: Any, hint: Any) -> Any:
    """Return an event, transaction or breadcrumb without personal data and secrets."""
    if isinstance(request := event.get("request"), dict):
        headers = {name: value for name, value in request.get("headers", {}).items() if name in KEPT_HEADERS}
        event["request"] = {"method": request.get("method"), "url": request.get("url"), "headers": headers}
    return scrub(event)
