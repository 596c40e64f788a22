"""What many operations take and answer outside of their bodies: parts of addresses, and headers."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from smsapp.api.idempotency import HEADER, ORIGINAL_HEADER, REPLAYED_HEADER

REQUEST_ID = "X-Request-Id"
RETRY_AFTER = "Retry-After"
LIMITS = (
    "RateLimit-Policy",
    "RateLimit",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)


def _name(example: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 64}
    return {"description": description, "schema": schema, "example": example}


#: Parts of addresses: each name means the same wherever it stands.
IN_PATH: dict[str, dict[str, Any]] = {
    "bulk_id": _name("bulk-3f1c09a27d5e4b86", "The send or campaign, as it was answered when it was made."),
    "message_id": _name("k3x9a0000000g4015", "The message, as the send answered it."),
    "inbound_id": _name("in-3f1c09a27d5e4b86", "The inbound message, as the list names it."),
    "upload_id": _name("upl-k3v7q2m5x4wz6abc", "The upload, as it was answered when the file came."),
    "template_id": _name("tpl-3f1c09a27d5e4b86", "The template, as it was answered when it was made."),
    "recurring_id": _name("rec-3f1c09a27d5e4b86", "The recurring campaign, as it was answered when it was made."),
    "list_id": _name("lst-3f1c09a27d5e4b86", "The contact list, as it was answered when it was made."),
    "phone_number": _name(
        "+4915112345678", "In international format, the plus as it is or as `%2B`, or that of your account's country."
    ),
    "key_id": _name("9qk2m4x7w1ab", "The key: its part between the second and the third underscore."),
    "endpoint_id": _name("we_4be29c0d2a71f0c9d3a1", "The endpoint, as it was answered when it was made."),
    "event_id": _name("evt_9d3a1c2b7e556f1d0c0e4a41", "The event, as its header `webhook-id` and the list name it."),
    "sender_id": _name("YourBrand", "The sender, as the handset shows it."),
}


def _text(description: str, example: str | None = None, *, required: bool = False) -> dict[str, Any]:
    return _header({"type": "string"}, description, example, required=required)


def _count(description: str, example: int, *, required: bool = False) -> dict[str, Any]:
    return _header({"type": "integer", "minimum": 0}, description, example, required=required)


def _header(schema: dict[str, Any], description: str, example: Any, *, required: bool) -> dict[str, Any]:
    header: dict[str, Any] = {"description": description, "schema": schema}
    if required:
        header["required"] = True
    return header if example is None else {**header, "example": example}


ANSWERED: dict[str, dict[str, Any]] = {
    REQUEST_ID: _text(
        "The id of this call: your own, if you sent an acceptable one. Name it when you ask for help.",
        "6f1d0c0e-5c5f-4a41-9f0e-9d3a1c2b7e55",
        required=True,
    ),
    RETRY_AFTER: _count("Seconds to wait before trying again.", 5),
    "RateLimit-Policy": _text(
        "Every limit that this call counts against: `q` calls in `w` seconds.", '"key";q=3000;w=60, "user";q=6000;w=60'
    ),
    "RateLimit": _text(
        "Where you stand with each: `r` calls are left, for `t` more seconds.", '"key";r=2999;t=42, "user";r=5999;t=42'
    ),
    "X-RateLimit-Limit": _count("Calls a minute of the limit that is reached first.", 3000),
    "X-RateLimit-Remaining": _count("Calls that are left of it.", 2999),
    "X-RateLimit-Reset": _count("Seconds until it begins anew.", 42),
    REPLAYED_HEADER: _header(
        {"type": "string", "const": "true"},
        "`true` on the answer of an earlier call with this Idempotency-Key.",
        "true",
        required=False,
    ),
    ORIGINAL_HEADER: _text(f"{REQUEST_ID} of the call that was carried out, on such an answer."),
    "WWW-Authenticate": _text("How to say who calls.", 'X-API-Key realm="api"'),
}

#: 1 to 255 printable characters, bare or in quotes.
KEY_PATTERN = r'^("[ -~]{1,255}"|"([ -~]{0,253}[!#-~])?|[!#-~]([ -~]{0,253}[!-~])?)$'
#: Without examples: a page that prefills them would send every call with the same key.
SENT: dict[str, dict[str, Any]] = {
    REQUEST_ID: {
        "description": "An id of your own for this call: 1 to 64 of `A-Z a-z 0-9 . _ -`. It stands in our answer and "
        "our logs; anything else is replaced by an id of ours.",
        "schema": {"type": "string"},
    },
    HEADER: {
        "description": "A name of your own for this very call: a new UUID each time. The call is carried out once, "
        "however often it is sent within 7 days: later ones get the first one's answer, byte by byte. A failed call "
        "leaves the key free.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
}


def path_parameters(path: str) -> list[OpenApiParameter]:
    """Of an address such as `/campaigns/{bulk_id}`."""
    return [
        OpenApiParameter(name, part["schema"], OpenApiParameter.PATH, description=part["description"])
        for name, part in IN_PATH.items()
        if f"{{{name}}}" in path
    ]
