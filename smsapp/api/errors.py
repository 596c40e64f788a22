"""Every failure of the API in one shape: code, message, details."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.template import loader
from django.urls import is_valid_path
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.access.authentication import WHERE
from accounts.security.encryption import SecretUnreadable
from smsapp.api.envelope import failure
from smsapp.api.shapes import MAX_TEXT, shape_problem
from smsapp.core.error_codes import CATALOGUE
from smsapp.core.exceptions import SmsappError, entries_of, root_of
from smsapp.database.errors import RETRY_AFTER, is_outage

logger = logging.getLogger(__name__)

MAX_ERRORS = 100  # of one field
UNAVAILABLE = "The service is not available at the moment. Try again soon."
DEFECT = "Something went wrong on our side; nothing was accepted."

#: Failures that REST framework finds, by class: our code and the text if its own is not better.
FRAMEWORK_CODES: dict[type[drf.APIException], str] = {
    drf.ParseError: "VALIDATION_ERROR",
    drf.NotAuthenticated: "AUTHENTICATION_REQUIRED",
    drf.AuthenticationFailed: "INVALID_CREDENTIALS",
    drf.PermissionDenied: "PERMISSION_DENIED",
    drf.NotFound: "NOT_FOUND",
    drf.MethodNotAllowed: "METHOD_NOT_ALLOWED",
    drf.NotAcceptable: "NOT_ACCEPTABLE",
    drf.UnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE",
    drf.Throttled: "RATE_LIMIT_EXCEEDED",
}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's hook: any exception of a view as an answer; nothing of a half-done change stays."""
    set_rollback()
    if isinstance(error, SmsappError):
        return _own_error(error, context)
    if isinstance(error, Http404):
        error = drf.NotFound()
    elif isinstance(error, DjangoPermissionDenied):
        error = drf.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return _answer("PAYLOAD_TOO_LARGE", "The request body is too large.", {"max": most})
    elif isinstance(error, SuspiciousOperation | UnreadablePostError):
        return _answer("VALIDATION_ERROR", malformed(error))
    if isinstance(error, drf.ValidationError):
        return _own_error(shape_problem(error.detail, context["request"].data), context)
    if isinstance(error, drf.APIException):
        return _framework_error(error, context)
    if is_outage(error):
        logger.error("nothing can be stored: %s", error)
        response = _answer("SERVICE_UNAVAILABLE", UNAVAILABLE)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response
    if isinstance(error, SecretUnreadable):
        logger.error("%s", error)
        response = _answer(
            "SERVICE_UNAVAILABLE", "Something that is stored cannot be read; an operator has to look at it."
        )
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response
    logger.exception("unhandled error in %s", context["view"].__class__.__name__)
    return _answer("INTERNAL_ERROR", DEFECT)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return failure(request, _error("NOT_FOUND", f"There is nothing at this address.{_hint(request.path)}"), 404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's hook, called while it handles what escaped a page or a middleware: 503 in an outage, else 500."""
    if (error := sys.exception()) is not None and is_outage(error):
        return _unavailable(request)
    if request.path.startswith("/api/"):
        return failure(request, _error("INTERNAL_ERROR", DEFECT), 500)
    return defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return failure(request, _error("VALIDATION_ERROR", malformed(exception)), 400)
    if isinstance(exception, DisallowedHost):
        return HttpResponse(malformed(exception), status=400, content_type="text/plain; charset=utf-8")
    return defaults.bad_request(request, exception)


def malformed(error: Exception) -> str:
    """What is wrong with a request that no view can answer, as far as that may be told."""
    if isinstance(error, DisallowedHost):
        return "This server does not answer to the host name of the request. Its operator sets ALLOWED_HOSTS."
    return str(error) if isinstance(error, BadRequest) else "The request is malformed."


def _hint(path: str) -> str:
    """Where an address leads without a slash at its end, or with the version in it; from the top of the API, to its
    documentation; empty for any other."""
    trimmed = path.rstrip("/")
    if trimmed in ("/api", "/api/v1"):
        return " The documentation is at /api/v1/docs."
    for candidate in (trimmed, trimmed.replace("/api/", "/api/v1/", 1)):
        if candidate != path and is_valid_path(candidate):
            return f" Did you mean {candidate}?"
    return ""


def _error(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": dict(details or {})}


def _answer(code: str, message: str, details: Mapping[str, Any] | None = None) -> Response:
    return Response(_error(code, message, details), status=CATALOGUE[code].http_status)


def _unavailable(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        response = failure(request, _error("SERVICE_UNAVAILABLE", UNAVAILABLE), 503)
    else:
        response = HttpResponse(loader.render_to_string("503.html"), status=503)  # without asking who is signed in
    response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _own_error(error: SmsappError, context: Mapping[str, Any]) -> Response:
    response = _answer(error.code, error.message, _all_problems(error))
    if error.http_status == 401:
        challenge = context["view"].get_authenticate_header(context["request"])
        response.headers["WWW-Authenticate"] = challenge or 'Bearer realm="api"'
    if wait := error.details.get("retry_after"):
        response.headers["Retry-After"] = str(wait)
    return response


def _framework_error(error: drf.APIException, context: Mapping[str, Any]) -> Response:
    code = next((code for kind, code in FRAMEWORK_CODES.items() if isinstance(error, kind)), "INTERNAL_ERROR")
    wait = getattr(error, "wait", None)  # whole seconds
    response = _answer(code, _words(error, context), {"retry_after": wait} if wait else None)
    if header := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _words(error: drf.APIException, context: Mapping[str, Any]) -> str:
    """What is wrong and what would be right, where the framework says only the first."""
    request = context["request"]
    if isinstance(error, drf.NotAuthenticated):
        return f"This call needs credentials. {WHERE}"
    if isinstance(error, drf.UnsupportedMediaType):
        given, kind = request.content_type, request.parsers[0].media_type
        wanted = f"{kind} in UTF-8" if given.startswith(kind) else kind
        return f"Send the body as {wanted}, not as {given[:MAX_TEXT]}."
    if isinstance(error, drf.NotAcceptable):
        kinds = dict.fromkeys(renderer.media_type for renderer in context["view"].get_renderers())
        return f"The answer is {' or '.join(kinds)}: accept that."
    return str(error.detail)


def _all_problems(error: SmsappError) -> dict[str, Any]:
    """The details of an error, with `errors` wherever a field is to blame."""
    details = dict(error.details)
    if entries := entries_of(error):
        details |= {"code": entries[0]["code"], "errors": _some_of_each_field(entries)}
    elif "field" in details:
        details = {name: value for name, value in details.items() if name not in ("field", "value", "code")}
    if "current_status" in details:
        details["current_status"] = details["current_status"].upper()
        if "allowed" in details:
            details["allowed"] = [status.upper() for status in details["allowed"]]
    return details


def _some_of_each_field(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """MAX_ERRORS of each: thousands of wrong numbers leave room for what else is wrong."""
    counts: Counter[str] = Counter()
    some = []
    for entry in entries:
        root = root_of(entry["field"])
        counts[root] += 1
        if counts[root] <= MAX_ERRORS:
            some.append(entry)
    return some
