"""Every request has an id, taken from `X-Request-Id` or made, returned and in every log line; and a starting time."""

import contextlib
import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.template.response import SimpleTemplateResponse
from django.urls import resolve

from smsapp.monitoring import proxies

API = "/api/"
IPV6_PREFIX = 64  # bits; the smallest network that providers give to one customer
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


@dataclass(slots=True)
class Call:
    """The request being answered; outside of one everything is empty. Authentication fills in the key."""

    request_id: str = ""
    ip_address: str = ""
    api_key_prefix: str = ""

    @property
    def network(self) -> str:
        """What limits count by: the address, of IPv6 its /64, in which anybody has any number of them."""
        return network_of(self.ip_address)


_CALL: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    return _CALL.get(None) or Call()


@contextlib.contextmanager
def acting_for(request_id: str) -> Iterator[None]:
    """Work that goes on after the call that asked for it: its log lines and audit events carry that call's id."""
    token = _CALL.set(Call(request_id))
    try:
        yield
    finally:
        _CALL.reset(token)


def current_request_id() -> str:
    """The id of the request being answered; made when asked for outside of one."""
    return current_call().request_id or str(uuid.uuid4())


def client_address(request: HttpRequest) -> str:
    """The caller's IP address: that of the connection or, behind TRUSTED_PROXY_COUNT proxies, the one that the
    outermost of them saw. Whatever else `X-Forwarded-For` says was written by the caller. Empty on a local socket.
    """
    count: int = settings.TRUSTED_PROXY_COUNT
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if count else []
    forwarded = _address(hops[-count]) if len(hops) >= max(count, 1) else ""
    return forwarded or _address(request.META.get("REMOTE_ADDR", ""))


def client_network(request: HttpRequest) -> str:
    """As `client_address`; of IPv6 the first address of its /64."""
    return network_of(client_address(request))


def network_of(address: str) -> str:
    """An IPv4 address as it is, the first address of an IPv6 address's /64; empty for none."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX), strict=False).network_address)


def _address(text: str) -> str:
    """In its one spelling; empty if it is none."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-Id", "")
        request_id = offered if _ACCEPTABLE.match(offered) else str(uuid.uuid4())
        request.started = time.monotonic()  # type: ignore[attr-defined]
        if not settings.TRUSTED_PROXY_COUNT and "HTTP_X_FORWARDED_FOR" in request.META:
            proxies.note_untrusted(request.META.get("REMOTE_ADDR", ""))
        token = _CALL.set(Call(request_id, client_address(request)))
        try:
            response = self.get_response(request)
        finally:
            _CALL.reset(token)
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


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        request_id = current_call().request_id
        record.request_id = f" request_id={request_id}" if request_id else ""
        return True


class PagesLocaleMiddleware(LocaleMiddleware):
    """Pages in the language that their reader's browser asks for; the API speaks English to everybody."""

    def process_request(self, request: HttpRequest) -> None:
        if not request.path_info.startswith(API):
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path_info.startswith(API):
            return response
        return super().process_response(request, response)
