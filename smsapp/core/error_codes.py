"""Every code the API can answer, once: its HTTP status, when it comes, and whether to try again.

A code is a promise to customers' programs: it may be added, and never changed or used for something else.
"""

from enum import StrEnum
from typing import NamedTuple


class Retry(StrEnum):
    """What a program should do about a failure."""

    NEVER = "Not as it is: the same call fails again."
    SOON = "Yes, after `Retry-After` seconds."
    LATER = "Later, when what it waits for has happened."
    SAME_KEY = "Yes, after `Retry-After` seconds, with the same Idempotency-Key."
    NEW_KEY = "With another Idempotency-Key."
    NEW_CREDENTIALS = "With other credentials."


class Entry(NamedTuple):
    http_status: int
    when: str
    retry: Retry


CATALOGUE: dict[str, Entry] = {
    "VALIDATION_ERROR": Entry(400, "A field or parameter breaks a rule, or is not known.", Retry.NEVER),
    "INVALID_JSON": Entry(400, "The body is not JSON in UTF-8, or is nested too deeply.", Retry.NEVER),
    "INVALID_CURSOR": Entry(400, "The cursor is not of this list with these filters.", Retry.NEVER),
    "IDEMPOTENCY_KEY_INVALID": Entry(400, "Idempotency-Key is not 1 to 255 printable ASCII characters.", Retry.NEW_KEY),
    "AUTHENTICATION_REQUIRED": Entry(401, "The call has neither an API key nor a token.", Retry.NEW_CREDENTIALS),
    "INVALID_CREDENTIALS": Entry(401, "The API key, name or password is wrong.", Retry.NEW_CREDENTIALS),
    "API_KEY_EXPIRED": Entry(401, "The API key is past its time.", Retry.NEW_CREDENTIALS),
    "API_KEY_REVOKED": Entry(401, "The API key was revoked.", Retry.NEW_CREDENTIALS),
    "TOKEN_EXPIRED": Entry(401, "The access token is past its ten minutes: refresh it.", Retry.NEW_CREDENTIALS),
    "TOKEN_INVALID": Entry(401, "The token is no token of ours, or its sign-in has ended.", Retry.NEW_CREDENTIALS),
    "INSUFFICIENT_CREDIT": Entry(402, "It costs more than the account has left: `needed`, `available`.", Retry.LATER),
    "QUOTA_EXCEEDED": Entry(402, "The day's messages are used up until `details.resets_at`.", Retry.LATER),
    "SPEND_LIMIT_REACHED": Entry(402, "It costs more than the account may spend in a day.", Retry.LATER),
    "PERMISSION_DENIED": Entry(403, "The person's role does not allow it.", Retry.NEVER),
    "INSUFFICIENT_SCOPE": Entry(403, "The API key lacks `details.required_scope`.", Retry.NEW_CREDENTIALS),
    "IP_NOT_ALLOWED": Entry(403, "The API key may not be used from this address.", Retry.NEVER),
    "ACCOUNT_SUSPENDED": Entry(403, "An operator holds the account: it reads, and sends nothing.", Retry.LATER),
    "CSRF_FAILED": Entry(403, "A call with the dashboard's session has no CSRF token.", Retry.NEVER),
    "DESTINATION_BLOCKED": Entry(403, "Nothing may be sent to this country or kind of number.", Retry.NEVER),
    "NOT_FOUND": Entry(404, "There is no such thing, or it belongs to somebody else.", Retry.NEVER),
    "METHOD_NOT_ALLOWED": Entry(405, "This address does not take this method.", Retry.NEVER),
    "NOT_ACCEPTABLE": Entry(406, "The Accept header leaves out application/json.", Retry.NEVER),
    "ALREADY_EXISTS": Entry(409, "The name or address is taken.", Retry.NEVER),
    "DUPLICATE_REFERENCE": Entry(
        409, "Another send has this client_reference: `details.existing_bulk_id` names it.", Retry.NEVER
    ),
    "IDEMPOTENCY_IN_PROGRESS": Entry(409, "A call with this Idempotency-Key is being carried out.", Retry.SAME_KEY),
    "INVALID_STATE": Entry(409, "It cannot be done while its status is `details.current_status`.", Retry.NEVER),
    "UPLOAD_NOT_READY": Entry(409, "The upload is not READY yet.", Retry.LATER),
    "PAYLOAD_TOO_LARGE": Entry(413, "The body or file has more than `details.max` bytes.", Retry.NEVER),
    "UNSUPPORTED_MEDIA_TYPE": Entry(415, "The Content-Type is not the one of this call.", Retry.NEVER),
    "CALLBACK_URL_NOT_ALLOWED": Entry(422, "Events are not sent to this address.", Retry.NEVER),
    "IDEMPOTENCY_KEY_REUSED": Entry(422, "The Idempotency-Key stands for another call.", Retry.NEW_KEY),
    "RECIPIENT_LIMIT_REACHED": Entry(422, "The number got as many messages as it may get for now.", Retry.LATER),
    "MESSAGE_TOO_LONG": Entry(422, "The text is longer than 1,600 characters.", Retry.NEVER),
    "RECIPIENT_OPTED_OUT": Entry(422, "The recipient wants no messages.", Retry.NEVER),
    "SCHEDULE_IN_PAST": Entry(422, "The time to send at has passed.", Retry.NEVER),
    "SENDER_NOT_ALLOWED": Entry(422, "The sender is not approved for the account.", Retry.LATER),
    "TEMPLATE_VARIABLE_MISSING": Entry(422, "The text has a {placeholder} that nothing fills.", Retry.NEVER),
    "TOO_MANY_RECIPIENTS": Entry(422, "There are more than `details.max` recipients.", Retry.NEVER),
    "UPLOAD_INVALID": Entry(422, "The file, or an option for reading it, cannot be used.", Retry.NEVER),
    "LOGIN_THROTTLED": Entry(429, "Too many wrong passwords were tried.", Retry.SOON),
    "RATE_LIMIT_EXCEEDED": Entry(429, "Too many calls; this one was not carried out.", Retry.SOON),
    "INTERNAL_ERROR": Entry(500, "A defect of ours; nothing was accepted.", Retry.SAME_KEY),
    "OUTCOME_UNKNOWN": Entry(
        503,
        "It may be done: the database was lost while it committed, or the kept answer cannot be read.",
        Retry.SAME_KEY,
    ),
    "SERVICE_UNAVAILABLE": Entry(503, "The database is away; nothing was accepted.", Retry.SAME_KEY),
}

#: What can be wrong with a field: `code` in `details` and in each of `details.errors`, beside codes of the catalogue.
PROBLEMS: dict[str, str] = {
    "REQUIRED": "It must be given.",
    "NULL": "It must not be null.",
    "BLANK": "It must not be empty.",
    "UNKNOWN": "There is no such field or parameter.",
    "INVALID": "It breaks a rule that the message states, or is of another type.",
    "TOO_LONG": "It has too many characters or entries.",
    "TOO_SHORT": "It has too few characters or entries.",
    "TOO_LARGE": "The number is too large.",
    "TOO_SMALL": "The number is too small.",
    "NOT_A_CHOICE": "It is none of the allowed values.",
    "CONTROL_CHARACTERS": "It has control characters or line breaks.",
    "NO_ZONE": "The time has no zone.",
    "NO_NUMBER": "The phone number is empty.",
    "NOT_A_NUMBER": "This is not a phone number.",
    "INVALID_NUMBER": "No such number exists in the numbering plan.",
    "NOT_MOBILE": "A landline or service number cannot receive an SMS.",
    "DUPLICATE": "The request names the same number earlier.",
}

_OF_THE_FRAMEWORK = {
    "required": "REQUIRED",
    "null": "NULL",
    "blank": "BLANK",
    "empty": "BLANK",
    "unknown": "UNKNOWN",
    "max_length": "TOO_LONG",
    "max_string_length": "TOO_LONG",
    "min_length": "TOO_SHORT",
    "max_value": "TOO_LARGE",
    "min_value": "TOO_SMALL",
    "invalid_choice": "NOT_A_CHOICE",
    "control_characters": "CONTROL_CHARACTERS",
    "null_characters_not_allowed": "CONTROL_CHARACTERS",
    "zone": "NO_ZONE",
}


def problem_code(found: str) -> str:
    """Return the code of a problem as the API names it: of REST framework's own, of a row's reason, or of an error."""
    code = _OF_THE_FRAMEWORK.get(found, found.upper())
    return code if code in PROBLEMS or (code in CATALOGUE and code != "VALIDATION_ERROR") else "INVALID"
