"""Root of the error tree. Services raise these and know no HTTP; the API turns them into its envelope.

`details` names the `field` and `value` of the first problem and, where there are several, all of them in `errors`.
"""

from typing import Any

MAX_VALUE_LENGTH = 64


class SmsappError(Exception):
    code = "INTERNAL_ERROR"
    http_status = 500

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationError(SmsappError):
    """A field breaks a rule of shape."""

    code = "VALIDATION_ERROR"
    http_status = 400

    def __init__(self, message: str, field: str = "", value: Any = None, **details: Any) -> None:
        super().__init__(message, field=field, value=shown(value), **details)


class InvalidPhoneNumber(ValidationError):
    code = "INVALID_PHONE_NUMBER"
    http_status = 422


class TemplateVariableMissing(ValidationError):
    code = "TEMPLATE_VARIABLE_MISSING"
    http_status = 422


class UploadInvalid(ValidationError):
    code = "UPLOAD_INVALID"
    http_status = 422


class ScheduleInPast(ValidationError):
    code = "SCHEDULE_IN_PAST"
    http_status = 422


class MessageTooLong(ValidationError):
    code = "MESSAGE_TOO_LONG"
    http_status = 422


class RecipientOptedOut(ValidationError):
    code = "RECIPIENT_OPTED_OUT"
    http_status = 422


class TooManyRecipients(ValidationError):
    code = "TOO_MANY_RECIPIENTS"
    http_status = 422


class PayloadTooLarge(SmsappError):
    code = "PAYLOAD_TOO_LARGE"
    http_status = 413


class SenderNotAllowed(ValidationError):
    code = "SENDER_NOT_ALLOWED"
    http_status = 422


class AuthenticationRefused(SmsappError):
    """Who calls could not be established; one text for every wrong key, name or password."""

    code = "INVALID_CREDENTIALS"
    http_status = 401


class ApiKeyExpired(AuthenticationRefused):
    code = "API_KEY_EXPIRED"


class ApiKeyRevoked(AuthenticationRefused):
    code = "API_KEY_REVOKED"


class TokenExpired(AuthenticationRefused):
    code = "TOKEN_EXPIRED"


class TokenInvalid(AuthenticationRefused):
    code = "TOKEN_INVALID"


class IpNotAllowed(AuthenticationRefused):
    code = "IP_NOT_ALLOWED"
    http_status = 403


class CsrfFailed(SmsappError):
    code = "CSRF_FAILED"
    http_status = 403


class PermissionDenied(SmsappError):
    code = "PERMISSION_DENIED"
    http_status = 403


class InsufficientScope(PermissionDenied):
    code = "INSUFFICIENT_SCOPE"


class LoginThrottled(SmsappError):
    """Too many wrong passwords; `retry_after` in seconds."""

    code = "LOGIN_THROTTLED"
    http_status = 429


class AccountSuspended(SmsappError):
    code = "ACCOUNT_SUSPENDED"
    http_status = 403


class NotFound(SmsappError):
    code = "NOT_FOUND"
    http_status = 404


class InvalidState(SmsappError):
    code = "INVALID_STATE"
    http_status = 409


class UploadNotReady(SmsappError):
    code = "UPLOAD_NOT_READY"
    http_status = 409


class ServiceUnavailable(SmsappError):
    code = "SERVICE_UNAVAILABLE"
    http_status = 503


def shown(value: Any) -> Any:
    """A value as an error may show it: short, and of a JSON type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"
