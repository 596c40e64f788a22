"""An example of each error of the API, for its document."""

from typing import Any


def _field(message: str, field: str, value: Any, code: str, **details: Any) -> tuple[str, dict[str, Any]]:
    problem = {"field": field, "value": value, "code": code}
    return message, problem | details | {"errors": [problem | {"message": message}]}


#: Message and details of each code.
FAILURES: dict[str, tuple[str, dict[str, Any]]] = {
    "VALIDATION_ERROR": _field("This field is not known.", "phone_number", "+4915112345678", "UNKNOWN"),
    "INVALID_JSON": (
        "The body is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        {},
    ),
    "INVALID_CURSOR": _field(
        "This is no cursor of this list with these filters.", "cursor", "bm90LWEtY3Vyc29y", "INVALID_CURSOR"
    ),
    "IDEMPOTENCY_KEY_INVALID": _field(
        "A key has 1 to 255 printable ASCII characters.",
        "Idempotency-Key",
        "Bestellung-№-4711",
        "IDEMPOTENCY_KEY_INVALID",
    ),
    "AUTHENTICATION_REQUIRED": (
        "This call needs credentials. Send an API key as `X-API-Key: sms_…`, an access token as "
        "`Authorization: Bearer …`.",
        {},
    ),
    "INVALID_CREDENTIALS": ("This API key is not valid.", {}),
    "API_KEY_EXPIRED": ("This API key has expired.", {}),
    "API_KEY_REVOKED": ("This API key has been revoked.", {}),
    "TOKEN_EXPIRED": ("This token has expired.", {}),
    "TOKEN_INVALID": ("This token is not valid.", {}),
    "INSUFFICIENT_CREDIT": (
        "There is not enough credit for this.",
        {"needed": "0.090000", "available": "0.020000", "currency": "EUR"},
    ),
    "QUOTA_EXCEEDED": (
        "This account can send 1,000 messages a day, of which 999 are used.",
        {"limit": 1000, "used": 999, "requested": 2, "resets_at": "2027-06-18T00:00:00Z"},
    ),
    "SPEND_LIMIT_REACHED": (
        "This would cost more than the account can spend in a day.",
        {"needed": "0.090000", "limit": "50.000000", "currency": "EUR"},
    ),
    "PERMISSION_DENIED": (
        "This call needs the scope messages:send, which the role viewer does not have.",
        {"required_scope": "messages:send"},
    ),
    "INSUFFICIENT_SCOPE": (
        "This call needs the scope messages:send, which this key does not have.",
        {"required_scope": "messages:send"},
    ),
    "IP_NOT_ALLOWED": ("This API key cannot be used from this address.", {"value": "198.51.100.7"}),
    "ACCOUNT_SUSPENDED": ("This account is suspended and cannot send. Contact the operator.", {}),
    "CSRF_FAILED": ("A call with the session of the dashboard needs its CSRF token.", {}),
    "DESTINATION_BLOCKED": _field(
        "This account has no price for numbers that begin with +49.",
        "phone_numbers[0]",
        "+4915112345678",
        "DESTINATION_BLOCKED",
    ),
    "NOT_FOUND": ("There is no such campaign.", {}),
    "METHOD_NOT_ALLOWED": ('Method "PUT" not allowed.', {}),
    "NOT_ACCEPTABLE": ("The answer is application/json: accept that.", {}),
    "ALREADY_EXISTS": _field("There is already a contact list with this name.", "name", "Newsletter", "ALREADY_EXISTS"),
    "DUPLICATE_REFERENCE": _field(
        "Another send has this client_reference.",
        "client_reference",
        "order-4711",
        "DUPLICATE_REFERENCE",
        existing_bulk_id="bulk-3f1c09a27d5e4b86a1c2",
    ),
    "IDEMPOTENCY_IN_PROGRESS": ("A call with this key is being carried out.", {"retry_after": 1}),
    "INVALID_STATE": (
        "A campaign in the state “Draft” cannot change to “Paused”.",
        {"current_status": "DRAFT", "allowed": ["SCHEDULED", "RUNNING"]},
    ),
    "UPLOAD_NOT_READY": (
        "This upload is still being read. Try again when it is ready.",
        {"current_status": "PROCESSING"},
    ),
    "PAYLOAD_TOO_LARGE": ("The request body is too large.", {"max": 4194304}),
    "UNSUPPORTED_MEDIA_TYPE": ("Send the body as application/json, not as text/plain.", {}),
    "CALLBACK_URL_NOT_ALLOWED": _field(
        "Events cannot be sent to this address. It must use https on port 443 or 8443 and lead to a public server.",
        "callback_url",
        "https://127.0.0.1/",
        "CALLBACK_URL_NOT_ALLOWED",
    ),
    "IDEMPOTENCY_KEY_REUSED": _field(
        "This key stands for another call.", "Idempotency-Key", "order-4711", "IDEMPOTENCY_KEY_REUSED"
    ),
    "RECIPIENT_LIMIT_REACHED": _field(
        "This number got enough messages for now.", "phone_numbers[0]", "+4915112345678", "RECIPIENT_LIMIT_REACHED"
    ),
    "MESSAGE_TOO_LONG": _field(
        "The message has 1,700 characters; 1,600 are allowed.",
        "message",
        "Hello …",
        "MESSAGE_TOO_LONG",
        length=1700,
        max=1600,
    ),
    "RECIPIENT_OPTED_OUT": _field(
        "This recipient has opted out.", "phone_numbers[0]", "+4915112345678", "RECIPIENT_OPTED_OUT"
    ),
    "SCHEDULE_IN_PAST": _field(
        "The schedule time is in the past.", "schedule_time", "2024-06-17T18:00:00Z", "SCHEDULE_IN_PAST"
    ),
    "SENDER_NOT_ALLOWED": _field(
        "The sender YourBrand is not approved for your account. Ask for it under Senders in the dashboard, or with "
        "POST /api/v1/senders; your operator approves it. Without a sender the provider chooses.",
        "sender_id",
        "YourBrand",
        "SENDER_NOT_ALLOWED",
    ),
    "TEMPLATE_VARIABLE_MISSING": _field(
        "The text uses {name}, but these recipients have no columns. To send braces as text, double them: {{name}}.",
        "message",
        "name",
        "TEMPLATE_VARIABLE_MISSING",
        missing=["name"],
    ),
    "TOO_MANY_RECIPIENTS": _field(
        "101 numbers were given; 100 are allowed here. Use /sms/bulk for more.",
        "phone_numbers",
        101,
        "TOO_MANY_RECIPIENTS",
        max=100,
    ),
    "UPLOAD_INVALID": _field(
        "Only .csv, .txt and .xlsx files can be uploaded.", "file", "numbers.exe", "UPLOAD_INVALID"
    ),
    "LOGIN_THROTTLED": ("Too many failed attempts. Try again later.", {"retry_after": 900}),
    "RATE_LIMIT_EXCEEDED": ("Request was throttled. Expected available in 42 seconds.", {"retry_after": 42}),
    "INTERNAL_ERROR": ("Something went wrong on our side; nothing was accepted.", {}),
    "OUTCOME_UNKNOWN": (
        "It is not known whether this was done.",
        {"retry_after": 5},
    ),
    "SERVICE_UNAVAILABLE": ("The service is not available at the moment. Try again soon.", {}),
}
