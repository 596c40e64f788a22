"""Reads what Infobip says about messages: delivery reports, its log, and replies."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec import Raw

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import Inbound, LogEntry, Report
from messaging.gateways.payload import object_of, shortened

logger = logging.getLogger(__name__)

ACCEPTED, PENDING, UNDELIVERABLE, DELIVERED, EXPIRED, REJECTED = range(6)

GROUP_IDS = {
    "ACCEPTED": ACCEPTED,
    "OK": ACCEPTED,
    "PENDING": PENDING,
    "UNDELIVERABLE": UNDELIVERABLE,
    "DELIVERED": DELIVERED,
    "EXPIRED": EXPIRED,
    "REJECTED": REJECTED,
}

#: An id that is not listed below goes by its group; a group not listed here is one more stage on the way. Of group
#: EXPIRED it is only known that the message's time ended before delivery was confirmed, which may have been missed.
GROUPS: dict[int, tuple[MessageStatus, Reason]] = {
    ACCEPTED: (MessageStatus.SENT, Reason.NONE),
    PENDING: (MessageStatus.SENT, Reason.NONE),
    UNDELIVERABLE: (MessageStatus.UNDELIVERED, Reason.NOT_DELIVERED),
    DELIVERED: (MessageStatus.DELIVERED, Reason.NONE),
    EXPIRED: (MessageStatus.UNCONFIRMED, Reason.NO_RECEIPT),
    REJECTED: (MessageStatus.REJECTED, Reason.PROVIDER_REFUSED),
}

#: In group REJECTED and yet proof of acceptance: an earlier call with this message id arrived.
REJECTED_DUPLICATE_MESSAGE_ID = 23

#: By group and id, what means something else than its group does.
EXCEPTIONS: dict[tuple[int, int], tuple[MessageStatus, Reason]] = {
    # DELIVERED_TO_OPERATOR is not final: the operator has it, and may never tell of the handset.
    (DELIVERED, 2): (MessageStatus.SENT, Reason.NO_RECEIPT),
    # EXPIRED_EXPIRED: the operator says so, or it was still trying when the time was over
    (EXPIRED, 15): (MessageStatus.UNDELIVERED, Reason.UNREACHABLE),
    # SIGNALS_BLOCKED: anti-fraud; charged in group EXPIRED, free in group REJECTED
    (EXPIRED, 87): (MessageStatus.UNDELIVERED, Reason.PROVIDER_REFUSED),
    (REJECTED, REJECTED_DUPLICATE_MESSAGE_ID): (MessageStatus.SENT, Reason.NONE),
}

#: Our account is refused, and every other message would be too.
ACCOUNT_REFUSALS = frozenset(
    {
        11,  # REJECTED_SOURCE: the sender is not registered on the account
        12,  # REJECTED_NOT_ENOUGH_CREDITS
        17,  # REJECTED_PREPAID_PACKAGE_EXPIRED
        19,  # REJECTED_ROUTE_NOT_AVAILABLE: no route on the account
    }
)

STATUS_REASONS: dict[int, Reason] = {
    4: Reason.NOT_DELIVERED,  # UNDELIVERABLE_REJECTED_OPERATOR
    6: Reason.RECIPIENT_REFUSED,  # REJECTED_NETWORK: not covered
    8: Reason.RECIPIENT_REFUSED,  # REJECTED_PREFIX_MISSING
    10: Reason.RECIPIENT_REFUSED,  # REJECTED_DND
    11: Reason.SENDER_REFUSED,  # REJECTED_SOURCE
    13: Reason.SENDER_REFUSED,  # REJECTED_SENDER
    14: Reason.RECIPIENT_REFUSED,  # REJECTED_DESTINATION_BLOCKLISTED
    18: Reason.RECIPIENT_REFUSED,  # REJECTED_DESTINATION_NOT_REGISTERED: trial account
    20: Reason.CONTENT_REFUSED,  # REJECTED_FLOODING_FILTER: 6 identical or 20 different per number and hour
    24: Reason.CONTENT_REFUSED,  # REJECTED_INVALID_UDH
    25: Reason.CONTENT_REFUSED,  # REJECTED_MESSAGE_TOO_LONG: over 25 segments
    51: Reason.RECIPIENT_REFUSED,  # MISSING_TO
    52: Reason.RECIPIENT_REFUSED,  # REJECTED_DESTINATION
}

ERROR_REASONS: dict[int, Reason] = {
    1: Reason.UNKNOWN_NUMBER,  # EC_UNKNOWN_SUBSCRIBER
    5: Reason.UNKNOWN_NUMBER,  # EC_UNIDENTIFIED_SUBSCRIBER
    6: Reason.UNREACHABLE,  # EC_ABSENT_SUBSCRIBER_SM
    8: Reason.UNREACHABLE,  # EC_ROAMING_NOT_ALLOWED
    9: Reason.UNKNOWN_NUMBER,  # EC_ILLEGAL_SUBSCRIBER
    27: Reason.UNREACHABLE,  # EC_ABSENT_SUBSCRIBER
    31: Reason.UNREACHABLE,  # EC_SUBSCRIBER_BUSY_FOR_MT_SMS
    33: Reason.UNREACHABLE,  # EC_MESSAGE_WAITING_LIST_FULL
    256: Reason.UNREACHABLE,  # EC_SM_DF_MEMORYCAPACITYEXCEEDED
    351: Reason.RECIPIENT_REFUSED,  # EC_INVALID_DESTINATION_ADDRESS
    352: Reason.RECIPIENT_REFUSED,  # EC_INVALID_REQUEST_DESTINATION
    355: Reason.CONTENT_REFUSED,  # EC_MSG_TEXT_TOO_LONG
    368: Reason.SENDER_REFUSED,  # EC_INVALID_SOURCE_ADDRESS
    375: Reason.SENDER_REFUSED,  # EC_SOURCE_ADDRESS_IS_BLOCKED
    561: Reason.CONTENT_REFUSED,  # EC_CONTENT_BLOCKED_BY_OPERATOR
    566: Reason.RECIPIENT_REFUSED,  # EC_DESTINATION_BLOCKED_BY_OPERATOR
    568: Reason.UNKNOWN_NUMBER,  # EC_DESTINATION_NOT_SMS_PROVISIONED
    569: Reason.UNKNOWN_NUMBER,  # EC_DEST_ADDRESS_SUSPENDED
    603: Reason.OPTED_OUT,  # EC_CONTENT_BLOCKED: the recipient sent STOP to the provider
    607: Reason.CONTENT_REFUSED,  # EC_REJECTED_SPAM_BY_OPERATOR
    608: Reason.PROVIDER_REFUSED,  # EC_SIGNALS_BLOCKED
    811: Reason.UNREACHABLE,  # EC_MESSAGE_EXPIRED
    2050: Reason.RECIPIENT_REFUSED,  # EC_DEST_ADDRESS_BLACKLISTED
    2052: Reason.RECIPIENT_REFUSED,  # EC_BLACKLISTED_DESTINATIONADDRESS
    2053: Reason.SENDER_REFUSED,  # EC_BLACKLISTED_SENDERADDRESS
    3041: Reason.UNKNOWN_NUMBER,  # EC_DEACTIVATED_LIST
    4098: Reason.UNREACHABLE,  # EC_VP_EXPIRED
    4101: Reason.UNREACHABLE,  # EC_VALIDITY_EXPIRED
    4103: Reason.CONTENT_REFUSED,  # EC_DESTINATION_FLOODING
    4104: Reason.CONTENT_REFUSED,  # EC_DESTINATION_TXT_FLOODING
}

MAX_PRICE = Decimal(100_000)

MAX_TEXT = 4000  # of 25 segments


class _Answer(msgspec.Struct):
    """The answer to a send. Entries stay raw until each is read: one that cannot be read stops no other."""

    messages: list[Raw]


class _Page(msgspec.Struct):
    """A page of delivery reports, or of the log."""

    results: list[Raw]
    cursor: Any = None


class _Entry(msgspec.Struct, rename="camel"):
    """One message in an answer, a delivery report or the log.

    What is the same in most of them stays raw, and is read once for all.
    """

    message_id: str
    status: Raw
    error: Raw = Raw(b"null")
    price: Raw = Raw(b"null")
    bulk_id: Any = None
    message_count: Any = None
    details: Any = None
    done_at: Any = None


class _LogEntry(msgspec.Struct, rename="camel"):
    """What the log says about a message beside what a delivery report says."""

    destination: Any = None
    sender: Any = None
    content: Any = None
    sent_at: Any = None


decode_answer = msgspec.json.Decoder(_Answer).decode

decode_page = msgspec.json.Decoder(_Page).decode

_decode_entry = msgspec.json.Decoder(_Entry).decode

_decode_log_entry = msgspec.json.Decoder(_LogEntry).decode


def plainly_accepted(entry: Raw) -> str:
    """Return the message id if an entry says no more than that the provider has it, as nearly all do."""
    try:
        read = _decode_entry(entry)
        return read.message_id if _is_plain_acceptance(bytes(read.status)) else ""
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def _is_plain_acceptance(status: bytes) -> bool:
    said = object_of(status)
    return said.get("groupId") == PENDING and said.get("id") != REJECTED_DUPLICATE_MESSAGE_ID


def reports_of(entries: Sequence[Raw]) -> list[Report]:
    """Return the entries as reports. Those without an id or a status are left out, and logged."""
    reports = [report for entry in entries if (report := _report_of(entry)) is not None]
    if len(reports) < len(entries):
        logger.warning("%d of %d entries have no message id or status", len(entries) - len(reports), len(entries))
    return reports


def log_entries_of(entries: Sequence[Raw]) -> list[LogEntry]:
    """Return what the log says about messages and what they were. Entries that are no reports are left out."""
    found = []
    for entry in entries:
        if (report := _report_of(entry)) is not None:
            read = _decode_log_entry(entry)
            text = read.content.get("text") if isinstance(read.content, dict) else None
            number = shortened(read.destination, 19).removeprefix("+")
            sender, sent_at = shortened(read.sender, 16), _moment(read.sent_at)
            found.append(LogEntry(report, f"+{number}" if number else "", shortened(text, MAX_TEXT), sender, sent_at))
    return found


def log_time(moment: datetime) -> str:
    """Return a time as the log is asked by it: `2026-08-24T15:00:00.000+0000`."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _report_of(entry: Raw) -> Report | None:
    try:
        read = _decode_entry(entry)
        verdict = _verdict(bytes(read.status), bytes(read.error))
        segment_count = _segment_count(read)
        price, currency = _price(bytes(read.price), segment_count)
    except ValueError:
        return None
    if not read.message_id:
        return None
    reference, done_at = shortened(read.bulk_id, 60), _moment(read.done_at)
    return Report(read.message_id, *verdict, reference, price, currency, segment_count, done_at)


class _Verdict(NamedTuple):
    """What status and error of an entry say: the middle fields of a Report, the same for most of a body's entries."""

    status: MessageStatus
    reason: Reason
    account_refused: bool
    is_repeated: bool
    provider_status: str
    error_code: str
    error_description: str


@lru_cache(maxsize=1024)
def _verdict(status: bytes, error: bytes) -> _Verdict:
    """Return the verdict. Raises ValueError if the status is no object."""
    said, why = object_of(status), orjson.loads(error)
    why = why if isinstance(why, dict) and why.get("id") else {}
    status_id, error_code = _int_or_none(said.get("id")), _int_or_none(why.get("id"))
    message_status, reason = _meaning(_group(said), status_id, error_code)
    return _Verdict(
        status=message_status,
        reason=reason,
        account_refused=message_status is MessageStatus.REJECTED and status_id in ACCOUNT_REFUSALS,
        is_repeated=status_id == REJECTED_DUPLICATE_MESSAGE_ID,
        provider_status=shortened(said.get("name") or status_id, 60),
        error_code=str(error_code) if error_code is not None else "",
        error_description=shortened(why.get("description") or why.get("name"), 200),
    )


def _group(status: dict[str, Any]) -> int:
    group = _int_or_none(status.get("groupId"))
    return group if group in GROUPS else GROUP_IDS.get(str(status.get("groupName")), PENDING)


def _meaning(group: int, status_id: int | None, error_id: int | None) -> tuple[MessageStatus, Reason]:
    exception = EXCEPTIONS.get((group, status_id)) if status_id is not None else None
    message_status, reason = exception or GROUPS[group]
    if message_status not in (MessageStatus.UNDELIVERED, MessageStatus.REJECTED):
        return message_status, reason
    if error_id in ERROR_REASONS:
        return message_status, ERROR_REASONS[error_id]
    return message_status, STATUS_REASONS.get(status_id, reason) if status_id is not None else reason


def _segment_count(entry: _Entry) -> int | None:
    count = entry.message_count
    if count is None and isinstance(entry.details, dict):  # the answer to a send
        count = entry.details.get("messageCount")
    return count if isinstance(count, int) and 0 < count < 256 else None


@lru_cache(maxsize=1024)
def _price(price: bytes, segment_count: int | None) -> tuple[Decimal | None, str]:
    """Return the price of the whole message: Infobip names that of a segment. None without count or sane figure."""
    said = orjson.loads(price)
    per_segment = said.get("pricePerMessage") if isinstance(said, dict) else None
    if segment_count is None or isinstance(per_segment, bool) or not isinstance(per_segment, int | float):
        return None, ""
    amount = Decimal(repr(per_segment)) * segment_count
    return (amount, shortened(said.get("currency"), 3)) if 0 <= amount < MAX_PRICE else (None, "")


def _moment(value: object) -> datetime | None:
    """`2026-08-24T15:00:00.000+0000`, also with `Z`, `+05:30` or no fraction."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _int_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < 10**12 else None


def inbound_of(entry: Any) -> Inbound | None:
    """Return a message from a handset (format MO_JSON_2); None without an id, since it could be stored twice."""
    if not isinstance(entry, dict) or not (reference := shortened(entry.get("messageId"), 120)):
        return None
    sender = shortened(entry.get("from"), 20)
    count = entry.get("smsCount")
    return Inbound(
        provider_reference=reference,
        sender=f"+{sender}"[:20] if sender.isascii() and sender.isdigit() and len(sender) > 6 else sender,
        recipient=shortened(entry.get("to"), 20),
        text=shortened(entry.get("text"), 2000),
        keyword=shortened(entry.get("keyword"), 40),
        segment_count=count if isinstance(count, int) and 0 < count < 256 else 1,
        received_at=_moment(entry.get("receivedAt")),
    )
