"""Request bodies as views expect them: of a known length, no larger than the view takes, and not compressed.

Providers, proxies and clients may send a body in chunks, without a Content-Length, or compressed. Django reads as many
bytes as Content-Length names, so a chunked body was empty to it. And it writes every file of a form to the disk before
anybody has asked who sends it: only views that `takes_file` marks are sent that much.
"""

import tempfile
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from io import BytesIO
from itertools import chain
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from gunicorn.http.errors import ParseException

from accounts.access.authentication import may_call
from smsapp.api.envelope import failure
from smsapp.core.error_codes import CATALOGUE

MAX_BODY = 4 * 1024 * 1024  # bytes of a body that is no file; 10,000 numbers are about 200 kB
MAX_AROUND_FILE = 64 * 1024  # bytes of a form beside its file
IN_MEMORY = 1024 * 1024  # bytes; more goes to a temporary file
AT_ONCE = 64 * 1024
GZIP, GZIP_OR_ZLIB, RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # what zlib has to expect
GZIP_MAGIC = b"\x1f\x8b"
MAX_MEMBERS = 10_000  # of a gzip: each costs time, and may be empty
PLAIN = ("", "identity")
View = TypeVar("View", bound=Callable[..., Any])
COMPRESSED = ("gzip", "x-gzip", "deflate")


class Refused(Exception):
    """The body cannot be taken; `code` is the API's."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code, self.details = code, details


class Stranger(Exception):
    """A file comes from somebody without a session, key or token."""


class RequestBodyMiddleware:
    """Refuse what is larger than the view takes, and read chunked and compressed bodies to their end, before anybody
    reads anything.

    415 for a coding that is none of ours, 413 for too many bytes, 400 for a body that breaks off or is damaged. A file
    of a stranger is left unread: its view says who may call.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        coding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        # Without `wsgi.input_terminated` the server does not decode chunks, and their end cannot be found.
        is_chunked = "HTTP_TRANSFER_ENCODING" in request.META and bool(request.META.get("wsgi.input_terminated"))
        try:
            _check_length(request)
            if coding not in PLAIN or is_chunked:
                _take(request, coding, is_chunked=is_chunked)
        except Refused as refusal:
            return _answer(request, refusal)
        except Stranger:
            _leave_unread(request)
        return self.get_response(request)


def takes_file(view: View) -> View:
    """Mark a view, or a class of views, that is sent files of up to UPLOAD_MAX_BYTES."""
    view.takes_file = True  # type: ignore[attr-defined]
    return view


def _check_length(request: HttpRequest) -> None:
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > MAX_BODY and length > (limit := _limit(request)):
        raise Refused("PAYLOAD_TOO_LARGE", "The request body is too large.", max=limit)


def _take(request: HttpRequest, coding: str, *, is_chunked: bool) -> None:
    if coding not in (*PLAIN, *COMPRESSED):
        raise Refused("UNSUPPORTED_MEDIA_TYPE", "Send the body as it is, or compressed with gzip or deflate.")
    source = request.META["wsgi.input"] if is_chunked else request
    parts = iter(lambda: source.read(AT_ONCE), b"")
    body = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  (the request reads it to its end)
    limit = _limit(request)
    try:
        plain = parts if coding in PLAIN else _unpacked(_at_most(limit + AT_ONCE, parts), coding)
        for part in _at_most(limit, plain):
            body.write(part)
    except (OSError, EOFError, zlib.error, ParseException) as error:
        raise Refused("VALIDATION_ERROR", "The request body is damaged or incomplete.") from error
    request.META["CONTENT_LENGTH"] = str(body.tell())
    body.seek(0)
    request.META.pop("HTTP_CONTENT_ENCODING", None)
    request._stream = body  # type: ignore[assignment]
    request._read_started = False  # type: ignore[attr-defined]


def _leave_unread(request: HttpRequest) -> None:
    request.META["CONTENT_LENGTH"] = "0"
    request.META.pop("HTTP_CONTENT_ENCODING", None)
    request._stream = BytesIO()


def _limit(request: HttpRequest) -> int:
    """Return the most bytes that its view takes of this kind of body. Raises Stranger."""
    is_form = request.META.get("CONTENT_TYPE", "").startswith("multipart/form-data")
    if is_form and _is_for_file(request):
        return int(settings.UPLOAD_MAX_BYTES) + MAX_AROUND_FILE
    return MAX_BODY


def _is_for_file(request: HttpRequest) -> bool:
    """A form is read before its view asks who sends it, so no file is taken from a stranger. Raises Stranger."""
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return False
    if not getattr(getattr(view, "cls", view), "takes_file", False):
        return False
    if _is_signed_in(request):
        return True
    if not request.path_info.startswith("/api/"):
        return False
    if not may_call(request):
        raise Stranger
    return True


def _is_signed_in(request: HttpRequest) -> bool:
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    try:
        return bool(cookie) and SESSION_KEY in import_module(settings.SESSION_ENGINE).SessionStore(cookie)
    except DatabaseError:
        return True  # the view finds out, and says so


def _at_most(limit: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    length = 0
    for part in parts:
        length += len(part)
        if length > limit:
            raise Refused("PAYLOAD_TOO_LARGE", "The request body is too large.", max=limit)
        yield part


def _unpacked(parts: Iterator[bytes], coding: str) -> Iterator[bytes]:
    """Decompress in pieces of bounded size, whatever the ratio. A gzip may have several members, one after the other.
    Raises EOFError for a body that breaks off, or goes on after its end."""
    first = b""
    while len(first) < len(GZIP_MAGIC) and (part := next(parts, b"")):
        first += part
    inflater, members = zlib.decompressobj(_expected(first, coding)), 1
    for part in chain([first], parts):
        while part:
            if inflater.eof:
                members += 1
                if not first.startswith(GZIP_MAGIC) or members > MAX_MEMBERS:
                    raise EOFError
                inflater = zlib.decompressobj(GZIP)
            yield inflater.decompress(part, AT_ONCE)
            part = inflater.unconsumed_tail or inflater.unused_data
    while not inflater.eof:
        if not (rest := inflater.decompress(b"", AT_ONCE)):
            raise EOFError
        yield rest


def _is_zlib_header(pair: bytes) -> bool:
    return len(pair) == 2 and pair[0] & 15 == zlib.DEFLATED and int.from_bytes(pair) % 31 == 0


def _expected(first: bytes, coding: str) -> int:
    """What a body is that begins so. By the standard `deflate` has zlib's frame; some send it without."""
    is_framed = first.startswith(GZIP_MAGIC) or _is_zlib_header(first[:2])
    return RAW if coding == "deflate" and not is_framed else GZIP_OR_ZLIB


def _answer(request: HttpRequest, refusal: Refused) -> HttpResponse:
    status = CATALOGUE[refusal.code].http_status
    if request.path_info.startswith("/api/"):
        error = {"code": refusal.code, "message": str(refusal), "details": refusal.details}
        return failure(request, error, status)
    return HttpResponse(str(refusal), status=status, content_type="text/plain")
