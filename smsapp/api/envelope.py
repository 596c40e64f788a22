"""The one shape of every answer: success, timestamp, data, error, metadata."""

import time
from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.renderers import BaseRenderer

from smsapp.core.context import current_request_id


def envelope(data: Any, error: Mapping[str, Any] | None, started: float | None) -> dict[str, Any]:
    """`started` is when the request came in, on the monotonic clock."""
    return {
        "success": error is None,
        "timestamp": timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data if error is None else None,
        "error": error,
        "metadata": {
            "request_id": current_request_id(),
            "duration_ms": round((time.monotonic() - started) * 1000) if started is not None else 0,
        },
    }


def failure(request: HttpRequest, error: Mapping[str, Any], status: int) -> HttpResponse:
    """An error for what never reached a view of the API."""
    body = envelope(None, error, getattr(request, "started", None))
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")


class EnvelopeRenderer(BaseRenderer):
    """Whatever a view returns is `data`; what the exception handler returns is `error`. 204 has no body."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        context = renderer_context or {}
        response, request = context["response"], context["request"]
        if response.status_code == 204:
            return b""
        failed = response.status_code >= 400
        body = envelope(None if failed else data, data if failed else None, getattr(request, "started", None))
        return orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z)
