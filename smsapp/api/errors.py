"""Every failure of the API in one shape: code, message, details."""

import errno
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from smsapp.api.envelope import failure
from smsapp.exceptions import SmsappError, shown

logger = logging.getLogger(__name__)

MAX_ERRORS = 100
READ_ONLY = "25006"  # of PostgreSQL: a standby, or an administrator's measure
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

#: Failures that REST framework finds, by class: our code and the text if its own is not better.
FRAMEWORK_CODES: dict[type[drf.APIException], str] = {
    drf.ParseError: "INVALID_JSON",
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
        return _answer(error.http_status, error.code, error.message, error.details)
    if isinstance(error, Http404):
        error = drf.NotFound()
    elif isinstance(error, DjangoPermissionDenied):
        error = drf.PermissionDenied()
    if isinstance(error, drf.ValidationError):
        return _invalid(error, context)
    if isinstance(error, drf.APIException):
        return _framework_error(error)
    if _is_outage(error):
        logger.error("nothing can be stored: %s", error)
        response = _answer(503, "SERVICE_UNAVAILABLE", "The service is not available at the moment. Try again soon.")
        response.headers["Retry-After"] = "5"
        return response
    logger.exception("unhandled error in %s", context["view"].__class__.__name__)
    return _answer(500, "INTERNAL_ERROR", "Something went wrong on our side; nothing was accepted.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return failure(request, _error("NOT_FOUND", "There is nothing at this address."), 404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        message = "Something went wrong on our side; nothing was accepted."
        return failure(request, _error("INTERNAL_ERROR", message), 500)
    return defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return failure(request, _error("VALIDATION_ERROR", "The request is malformed."), 400)
    return defaults.bad_request(request, exception)


def _error(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": dict(details or {})}


def _answer(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> Response:
    return Response(_error(code, message, details), status=status)


def _is_outage(error: Exception) -> bool:
    """The database is away or read-only, or the disk is full: the request is not to blame, and may come again."""
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", None) == READ_ONLY
    if isinstance(error, OSError):
        return error.errno in NO_ROOM
    return isinstance(error, OperationalError | InterfaceError)


def _framework_error(error: drf.APIException) -> Response:
    code = next((code for kind, code in FRAMEWORK_CODES.items() if isinstance(error, kind)), "INTERNAL_ERROR")
    response = _answer(error.status_code, code, str(error.detail))
    if header := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response.headers["Retry-After"] = str(int(wait) + 1)
    return response


def _invalid(error: drf.ValidationError, context: Mapping[str, Any]) -> Response:
    data = context["request"].data
    errors = [
        {"field": path, "code": detail.code, "message": str(detail), "value": shown(_value_at(data, path))}
        for path, detail in _flatten(error.detail)
    ][:MAX_ERRORS]
    first = errors[0]
    details = {"field": first["field"], "value": first["value"], "errors": errors}
    return _answer(400, "VALIDATION_ERROR", first["message"], details)


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, drf.ErrorDetail]]:
    """Nested details as (`phone_numbers[0]`, error) pairs."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            if key == "non_field_errors":
                inner = path
            elif isinstance(key, int):
                inner = f"{path}[{key}]"
            else:
                inner = f"{path}.{key}" if path else str(key)
            yield from _flatten(value, inner)
    elif isinstance(detail, list):
        for value in detail:
            yield from _flatten(value, path)
    else:
        yield path, detail


def _value_at(data: Any, path: str) -> Any:
    for part in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
