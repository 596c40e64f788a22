"""Notes every call of the API for the request log, with what became of it."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch
from django.utils import timezone

from accounts import request_log
from accounts.access.principal import Caller
from smsapp.core.context import current_call
from smsapp.lib.digits import whole_number

PREFIX = "/api/"
NOT_NOTED = ("/api/v1/health", "/api/v1/metrics", "/api/v1/docs", "/api/v1/redoc", "/api/v1/schema")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
MAX_SIZE = 2**31 - 1


class UsageMiddleware:
    """Outside of everything that may refuse a call, inside of the request id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path_info.startswith(PREFIX) and not request.path_info.startswith(NOT_NOTED):
            _note(request, response)
        return response


def _note(request: HttpRequest, response: HttpResponse) -> None:
    call = current_call()
    caller: Caller | None = getattr(request, "caller", None)
    error = getattr(response, "data", None) if response.status_code >= 400 else None
    length = request.META.get("CONTENT_LENGTH", "")
    request_log.note(
        {
            "account_id": caller.account.pk if caller else None,
            "user_id": caller.user.pk if caller else None,
            "api_key_prefix": call.api_key_prefix,
            "mode": caller.mode.value if caller else "",
            "endpoint": _route(request.resolver_match),
            "method": request.method if request.method in METHODS else "OTHER",
            "status_code": response.status_code,
            "error_code": str(error.get("code", ""))[:40] if isinstance(error, dict) else "",
            "response_time_ms": round((time.monotonic() - request.started) * 1000),  # type: ignore[attr-defined]
            "request_size": min(whole_number(length) or 0, MAX_SIZE),
            "response_size": 0 if response.streaming else len(response.content),
            "ip_address": call.ip_address or None,
            "user_agent": "".join(filter(str.isprintable, request.headers.get("User-Agent", "")))[:200],
            "request_id": call.request_id,
            "created_at": timezone.now().timestamp(),
        }
    )


def _route(match: ResolverMatch | None) -> str:
    """`/api/v1/campaigns/{bulk_id}`; what no route answers is not kept, for it may hold anything."""
    if match is None:
        return "(no route)"
    parts = f"/{match.route}".replace("<str:", "{").replace("<int:", "{").replace(">", "}")
    return parts[:120]
