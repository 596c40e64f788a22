"""Every request has an id, taken from `X-Request-Id` or made, returned and in every log line; and a starting time."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


@dataclass(slots=True)
class Call:
    """The request being answered; outside of one everything is empty. Authentication fills in the key."""

    request_id: str = ""
    ip_address: str = ""
    api_key_prefix: str = ""


_CALL: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    return _CALL.get(None) or Call()


def current_request_id() -> str:
    """The id of the request being answered; made when asked for outside of one."""
    return current_call().request_id or str(uuid.uuid4())


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-Id", "")
        request_id = offered if _ACCEPTABLE.match(offered) else str(uuid.uuid4())
        request.started = time.monotonic()  # type: ignore[attr-defined]
        token = _CALL.set(Call(request_id, request.META.get("REMOTE_ADDR", "")))
        try:
            response = self.get_response(request)
        finally:
            _CALL.reset(token)
        response.headers["X-Request-Id"] = request_id
        return response


class RefuseNulMiddleware:
    """PostgreSQL takes no NUL in a text, and no address of ours has one: 400 instead of an error of the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("The address contains a NUL character.")
        return self.get_response(request)


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        request_id = current_call().request_id
        record.request_id = f" request_id={request_id}" if request_id else ""
        return True
