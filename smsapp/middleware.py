"""What every request and every answer passes through."""

import contextlib
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.template.response import SimpleTemplateResponse
from django.urls import resolve
from django.utils import translation

from smsapp.core.context import Call, answering, client_address
from smsapp.monitoring import proxies

API = "/api/"
ENGLISH = (API, "/admin/", "/callbacks/", "/health", "/metrics")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class RequestIdMiddleware:
    """Every request has an id, taken from `X-Request-Id` or made, returned and in every log line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-Id", "")
        request_id = offered if _ACCEPTABLE.match(offered) else str(uuid.uuid4())
        request.started = time.monotonic()  # type: ignore[attr-defined]
        if not settings.TRUSTED_PROXY_COUNT and "HTTP_X_FORWARDED_FOR" in request.META:
            proxies.record_untrusted(request.META.get("REMOTE_ADDR", ""))
        with answering(Call(request_id, client_address(request))):
            response = self.get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response


class SafeHeadersMiddleware:
    """What every answer says, whoever gave it: nobody keeps it, frames it or takes it for another type, and no script
    runs in it. Views and pages that know better have said so before."""

    HEADERS = (
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Referrer-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in self.HEADERS:
            response.headers.setdefault(name, value)
        return response


class RefuseNulMiddleware:
    """PostgreSQL takes no NUL in a text, and no address of ours has one: 400 instead of an error of the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("The address contains a NUL character.")
        return self.get_response(request)


class UnreadBodyMiddleware:
    """An answer may be made before the body was looked at (refused, limited, of a wrong type). What is left of it is
    read all the same: the server would cut the connection else, and with it the caller's next call."""

    MOST = 16 * 1024 * 1024  # bytes; whoever sends more of what is not wanted loses the connection
    AT_ONCE = 64 * 1024

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.META.get("CONTENT_LENGTH") and not hasattr(request, "_body"):
            with contextlib.suppress(OSError):  # the caller has gone
                read = 0
                while read < self.MOST and (part := request.read(self.AT_ONCE)):
                    read += len(part)
        return response


class MonitorMiddleware:
    """Health and metrics are asked by monitors and schedulers within the network, by address and without TLS: they are
    answered before anybody looks at host and scheme."""

    PATHS = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in self.PATHS:
            return self.get_response(request)
        return _direct(request)


class CallbackMiddleware:
    """A provider's push goes straight to its view: what is further in serves people, with sessions, pages and forms,
    and costs as much as storing the push."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/callbacks/"):
            return self.get_response(request)
        return _direct(request)


def _direct(request: HttpRequest) -> HttpResponse:
    """The answer of its view, with nobody in between."""
    request.resolver_match = resolve(request.path_info)
    view, args, kwargs = request.resolver_match
    response: HttpResponse = view(request, *args, **kwargs)
    if isinstance(response, SimpleTemplateResponse):
        response = response.render()
    return response


class PagesLocaleMiddleware(LocaleMiddleware):
    """Pages in the language that their reader chose, or that the browser asks for.

    The API and the operators' console are English for everybody, whatever the thread answered before.
    """

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(ENGLISH):
            translation.activate(settings.LANGUAGE_CODE)
        else:
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path_info.startswith(ENGLISH):
            return response
        return super().process_response(request, response)
