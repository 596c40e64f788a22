"""Reads what Twilio says about a message."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import Report
from messaging.gateways.payload import shortened

STATUSES: dict[str, tuple[MessageStatus, Reason]] = {
    "accepted": (MessageStatus.SENT, Reason.NONE),
    "scheduled": (MessageStatus.SENT, Reason.NONE),
    "queued": (MessageStatus.SENT, Reason.NONE),
    "sending": (MessageStatus.SENT, Reason.NONE),
    "sent": (MessageStatus.SENT, Reason.NO_RECEIPT),  # the carrier has it, and may never send a receipt
    "delivered": (MessageStatus.DELIVERED, Reason.NONE),
    "read": (MessageStatus.DELIVERED, Reason.NONE),
    "partially_delivered": (MessageStatus.DELIVERED, Reason.NONE),
    # A receipt says that it was not delivered; where the error is unknown (30008), only why is.
    "undelivered": (MessageStatus.UNDELIVERED, Reason.NOT_DELIVERED),
    "failed": (MessageStatus.REJECTED, Reason.PROVIDER_REFUSED),  # it could not be sent, and is not charged
    "canceled": (MessageStatus.REJECTED, Reason.PROVIDER_REFUSED),
}

#: An undocumented status is one more stage on the way.
OTHER = (MessageStatus.SENT, Reason.NONE)

#: In a report: why it was not delivered.
DELIVERY_ERRORS: dict[int, Reason] = {
    21610: Reason.OPTED_OUT,
    30001: Reason.NOT_DELIVERED,  # queue overflow
    30002: Reason.PROVIDER_REFUSED,  # account suspended
    30003: Reason.UNREACHABLE,
    30004: Reason.RECIPIENT_REFUSED,  # message blocked
    30005: Reason.UNKNOWN_NUMBER,
    30006: Reason.UNKNOWN_NUMBER,  # landline or unreachable carrier
    30007: Reason.CONTENT_REFUSED,  # filtered
    30008: Reason.NOT_DELIVERED,
    30034: Reason.SENDER_REFUSED,  # number is not registered
    30036: Reason.UNREACHABLE,  # validity ran out
    30450: Reason.CONTENT_REFUSED,  # protection against pumped traffic
}


def report_of(message: Mapping[str, Any]) -> Report:
    """Return the report on a message in an answer, a report or a look-up; the caller sets `message_id`."""
    name = shortened(message.get("status"), 60).lower()
    status, reason = STATUSES.get(name, OTHER)
    code = _int_or_none(message.get("error_code"))
    if code and status in (MessageStatus.UNDELIVERED, MessageStatus.REJECTED):
        reason = DELIVERY_ERRORS.get(code, reason)
    price, currency = _price(message)
    segments = _int_or_none(message.get("num_segments"))
    return Report(
        "",
        status,
        reason,
        provider_status=name,
        error_code=str(code) if code else "",
        error_description=shortened(message.get("error_message"), 200),
        price=price,
        currency=currency,
        segment_count=segments if segments and segments < 256 else None,
        done_at=_moment(message.get("date_updated")),
        provider_id=shortened(message.get("sid"), 64),
    )


def is_uncounted(sent: Mapping[str, Any]) -> bool:
    """Return whether an answer to a send does not count the segments.

    A messaging service counts them after it has chosen the sender; until then they are 0, or 1.
    """
    has_service = sent.get("messaging_service_sid") or sent.get("status") in ("accepted", "scheduled")
    return bool(has_service) and sent.get("num_segments") in ("0", "1")


def _price(message: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    """Return the price of the whole message; Twilio gives it as a negative figure, some time after sending."""
    try:
        price = abs(Decimal(str(message["price"])))
    except (KeyError, ArithmeticError):
        return None, ""
    return (price, shortened(message.get("price_unit"), 3)) if price.is_finite() else (None, "")


def _moment(value: object) -> datetime | None:
    """`Thu, 24 Aug 2023 05:01:45 +0000`"""
    try:
        moment = parsedate_to_datetime(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _int_or_none(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
