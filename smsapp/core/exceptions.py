"""Root of the error tree. Services raise these and know no HTTP; the API turns them into its envelope.

`details` names the `field` and `value` of the first problem and, where there are several, all of them in `errors`.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from smsapp.core.error_codes import CATALOGUE, problem_code
from smsapp.lib.sentences import Sentence, as_sentence

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MAX_VALUE_LENGTH = 64
NAMELESS = '""'  # how a field or parameter with an empty name is named
Rule = ParamSpec("Rule")
Result = TypeVar("Result")


class SmsappError(Exception):
    """`code`: a key of the catalogue, which says the rest."""

    code = "INTERNAL_ERROR"

    def __init__(self, message: "StrOrPromise | Sentence", **details: Any) -> None:
        super().__init__(message)
        self.sentence = as_sentence(message)
        self.details = details

    @property
    def message(self) -> str:
        """The sentence in the active language: the reader's on a page, English in the API."""
        return str(self.sentence)

    @property
    def http_status(self) -> int:
        return CATALOGUE[self.code].http_status


class ValidationError(SmsappError):
    """A field breaks a rule of shape. `problem`: what is wrong with it, where the class does not say it all."""

    code = "VALIDATION_ERROR"

    def __init__(
        self,
        message: "StrOrPromise | Sentence",
        field: str = "",
        value: Any = None,
        *,
        problem: str = "",
        **details: Any,
    ) -> None:
        super().__init__(message, field=field, value=shown(value), code=problem_code(problem or self.code), **details)


class InvalidJson(SmsappError):
    code = "INVALID_JSON"


class InvalidCursor(ValidationError):
    code = "INVALID_CURSOR"


class IdempotencyKeyInvalid(ValidationError):
    code = "IDEMPOTENCY_KEY_INVALID"


class IdempotencyKeyReused(ValidationError):
    """The key belongs to another call: other body, other address."""

    code = "IDEMPOTENCY_KEY_REUSED"


class IdempotencyInProgress(SmsappError):
    """A call with this key is being carried out; `retry_after` in seconds."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class InvalidPhoneNumber(ValidationError):
    """No SMS can be sent to the number. `problem`: a RowReason that says why."""


class TemplateVariableMissing(ValidationError):
    code = "TEMPLATE_VARIABLE_MISSING"


class UploadInvalid(ValidationError):
    code = "UPLOAD_INVALID"


class ScheduleInPast(ValidationError):
    code = "SCHEDULE_IN_PAST"


class MessageTooLong(ValidationError):
    code = "MESSAGE_TOO_LONG"


class RecipientOptedOut(ValidationError):
    code = "RECIPIENT_OPTED_OUT"


class TooManyRecipients(ValidationError):
    code = "TOO_MANY_RECIPIENTS"


class PayloadTooLarge(SmsappError):
    code = "PAYLOAD_TOO_LARGE"


class SenderNotAllowed(ValidationError):
    code = "SENDER_NOT_ALLOWED"


class InsufficientCredit(SmsappError):
    """`needed` and `available` in `currency`."""

    code = "INSUFFICIENT_CREDIT"


class QuotaExceeded(SmsappError):
    """The day's messages are used up; `limit`, `used`, `requested`, `resets_at`."""

    code = "QUOTA_EXCEEDED"


class SpendLimitReached(SmsappError):
    """It costs more than the account may spend in a day; `needed` and `limit` in `currency`."""

    code = "SPEND_LIMIT_REACHED"


class RecipientLimitReached(ValidationError):
    """The number got as many messages as one number may get in that time."""

    code = "RECIPIENT_LIMIT_REACHED"


class DestinationBlocked(ValidationError):
    """Nothing is sent to such numbers for this account."""

    code = "DESTINATION_BLOCKED"


class AuthenticationRefused(SmsappError):
    """The caller could not be authenticated; one text for every wrong key, name or password."""

    code = "INVALID_CREDENTIALS"


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


class CsrfFailed(SmsappError):
    code = "CSRF_FAILED"


class PermissionDenied(SmsappError):
    code = "PERMISSION_DENIED"


class InsufficientScope(PermissionDenied):
    code = "INSUFFICIENT_SCOPE"


class LoginThrottled(SmsappError):
    """Too many wrong passwords; `retry_after` in seconds."""

    code = "LOGIN_THROTTLED"


class AccountSuspended(SmsappError):
    code = "ACCOUNT_SUSPENDED"


class NotFound(SmsappError):
    code = "NOT_FOUND"


class AlreadyExists(ValidationError):
    """A name that must be unique is taken."""

    code = "ALREADY_EXISTS"


class DuplicateReference(ValidationError):
    """`existing_bulk_id`: the send that has this client_reference."""

    code = "DUPLICATE_REFERENCE"


class InvalidState(SmsappError):
    code = "INVALID_STATE"


class CallbackUrlNotAllowed(ValidationError):
    """Webhooks are not sent to this address; one text, whatever the reason."""

    code = "CALLBACK_URL_NOT_ALLOWED"


class UploadNotReady(SmsappError):
    code = "UPLOAD_NOT_READY"


class ServiceUnavailable(SmsappError):
    code = "SERVICE_UNAVAILABLE"


class OutcomeUnknown(SmsappError):
    """The connection was lost in COMMIT, or the stored answer cannot be read.

    Only the same key can tell whether it was done. `retry_after` in seconds.
    """

    code = "OUTCOME_UNKNOWN"


class Problems:
    """What is wrong with the fields of a request: collected, so that one answer names all of it."""

    def __init__(self) -> None:
        self._found: list[ValidationError] = []

    def check(self, rule: Callable[Rule, Result], *args: Rule.args, **options: Rule.kwargs) -> Result | None:
        """Apply a rule. Return its result, or keep the ValidationError that it raises and return None."""
        try:
            return rule(*args, **options)
        except ValidationError as problem:
            self._found.append(problem)
            return None

    def add(self, problem: ValidationError) -> None:
        self._found.append(problem)

    def entries(self) -> list[dict[str, Any]]:
        """See `entries_of`."""
        return [entry for problem in self._found for entry in entries_of(problem)]

    def refuse(self) -> None:
        """Raise the first problem, whose `errors` name all of them; nothing if there is none."""
        if not self._found:
            return
        first, *others = self._found
        if others:
            first.details["errors"] = self.entries()
        raise first


def entries_of(error: SmsappError) -> list[dict[str, Any]]:
    """Return what an error says of each field: `field`, `code`, `message`, `value`; empty where it names none."""
    details = error.details
    if not details.get("field"):
        return []
    code = details.get("code") or problem_code(error.code)
    only = {"field": details["field"], "code": code, "message": error.message, "value": details.get("value")}
    return list(details.get("errors", [only]))


def root_of(field: str) -> str:
    """Return the field of a request that a path such as `phone_numbers[0]` or `values.name` is in."""
    return field.partition("[")[0].partition(".")[0]


def shown(value: Any) -> Any:
    """Return a value as an error can show it: short, and of a JSON type."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    as_text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    text = as_text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 1] + "…"
