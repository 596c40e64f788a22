"""Infobip's SMS API, version 3."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

import msgspec
import orjson
from msgspec import Raw

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import (
    Balance,
    GatewayError,
    Inbound,
    LogEntry,
    LogPage,
    Lookup,
    NotSent,
    Policy,
    Push,
    Refused,
    Report,
    Submission,
    SubmitAnswer,
    Unknown,
)
from messaging.gateways.transport import Response, Transport

logger = logging.getLogger(__name__)

# --- Status: {"groupId", "groupName", "id", "name"} ---------------------------------------------------------

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

# --- Error: {"id", "name", "description", "permanent"}; says more exactly why than the status does ----------

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

# --- HTTP status of a refused call --------------------------------------------------------------------------

#: Key, right, credit, or a base URL that is not Infobip's: pausing loses nothing, and no message is to blame.
ACCOUNT_HTTP_STATUSES = frozenset({401, 402, 403, 404, 405, 407})
STATUS_IN_WORDS = {
    400: "The provider refuses the request",
    401: "The provider does not accept our API key",
    402: "The provider asks for payment",
    403: "The provider does not allow our API key to do this",
    404: "There is no such service at the provider's address",
    405: "There is no such service at the provider's address",
    407: "A proxy on the way asks who we are",
    429: "The provider says that we are too fast",
}
#: A proxy may give up on a request after it passed it on.
REQUEST_TIMEOUT = 408
TOO_MANY_REQUESTS = 429

MAX_VALIDITY = 48 * 3600  # seconds; Infobip cuts longer ones
MAX_PAGE = 1000  # results in one answer of reports or logs
MAX_LOG_PAGES = 5  # one call's messages fit in one page, unless each was reported several times
MAX_PRICE = Decimal(100_000)
MAX_TEXT = 4000  # of 25 segments


class Infobip:
    """Send, look up and report through one Infobip account, or through a server that speaks its API."""

    push_answer, push_answer_type = "OK", "text/plain"

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        policy: Policy,
        name: str = "infobip",
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
    ) -> None:
        """Time-outs in seconds. A base URL without a scheme, as Infobip shows it, is taken as https.
        Raises ValueError for one that is no URL."""
        self.name = name
        self.policy = policy
        self._transport = Transport(
            base_url if "://" in base_url else f"https://{base_url}",
            {
                "Authorization": f"App {api_key.strip()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "smsapp",
            },
            connect_timeout=connect_timeout,
            timeout=timeout,
        )

    def submit(self, submission: Submission) -> SubmitAnswer:
        """One POST, whatever happens. A message that the answer does not name is not among the reports."""
        response = self._transport.post(
            "/sms/3/messages", request_body(submission), begin_before=submission.begin_before
        )
        raise_for_status(response)
        ours = {message.message_id for message in submission.messages}
        try:
            entries = _decode_answer(response.body).messages
        except ValueError as error:
            raise Unknown("The answer cannot be read.", response.status) from error
        accepted = [message_id for entry in entries if (message_id := _plainly_accepted(entry))]
        others = [entry for entry in entries if not _plainly_accepted(entry)] if len(accepted) < len(entries) else []
        return SubmitAnswer(
            response.status,
            reports=[report for report in _reports_of(others) if report.message_id in ours],
            accepted=[message_id for message_id in accepted if message_id in ours],
        )

    def look_up(self, reference: str) -> Lookup:
        """What the log knows of one call's messages. It reaches back 48 hours and allows 120 requests a minute."""
        return self._read_log(bulkId=reference)

    def look_up_messages(self, ids: Sequence[str]) -> Lookup:
        return self._read_log(messageId=",".join(ids))

    def read_log(self, since: datetime, until: datetime, cursor: str = "") -> LogPage:
        return self._log_page({"sentSince": _log_time(since), "sentUntil": _log_time(until)}, cursor)

    def _read_log(self, **wanted: str) -> Lookup:
        reports: list[Report] = []
        cursor = ""
        for _ in range(MAX_LOG_PAGES):
            page = self._log_page(wanted, cursor)
            reports += [entry.report for entry in page.entries]
            if not page.conclusive or not page.cursor:
                return Lookup(reports, page.conclusive, page.detail)
            cursor = page.cursor
        return Lookup(reports, detail="The log has more pages than expected.")

    def _log_page(self, wanted: Mapping[str, str], cursor: str) -> LogPage:
        query: dict[str, str | int] = {**wanted, "limit": MAX_PAGE, "useCursor": "true"}
        if cursor:
            query["cursor"] = cursor
        try:
            response = self._transport.get("/sms/3/logs", query)
            raise_for_status(response)
            page = _decode_page(response.body)
        except GatewayError as error:
            return LogPage(detail=f"The log could not be read: {error.detail}")
        except ValueError:
            return LogPage(detail="The log's answer cannot be read.")
        entries = _log_entries_of(page.results)
        if len(entries) < len(page.results):
            return LogPage(entries, detail="The log has entries that cannot be read.")
        following = page.cursor.get("nextCursor") if isinstance(page.cursor, dict) and entries else None
        return LogPage(entries, conclusive=True, cursor=str(following or ""))

    def is_genuine(self, push: Push) -> bool:
        """It signs nothing that a send could ask for: the secret address is the proof."""
        return True

    def body_of(self, push: Push) -> bytes:
        return push.body

    def parse_reports(self, body: bytes) -> list[Report]:
        """Delivery reports as pushed and polled, and log entries: they differ in nothing that is read here."""
        return _reports_of(_decode_page(body).results)

    def count_reports(self, body: bytes) -> int:
        return len(_decode_page(body).results)

    def parse_inbound(self, body: bytes) -> list[Inbound]:
        return [
            inbound for entry in _list_in(_object_of(body), "results") if (inbound := _inbound_of(entry)) is not None
        ]

    def poll_reports(self, limit: int = MAX_PAGE) -> bytes | None:
        response = self._transport.get("/sms/3/reports", {"limit": min(limit, MAX_PAGE)})
        raise_for_status(response)
        try:
            return response.body if self.count_reports(response.body) else None
        except ValueError as error:
            raise Unknown("The reports cannot be read.", response.status) from error

    def balance(self) -> Balance:
        response = self._transport.get("/account/1/balance")
        raise_for_status(response)
        try:
            answer = _object_of(response.body)
            return Balance(Decimal(str(answer["balance"])), _text(answer.get("currency"), 3))
        except (ValueError, KeyError, ArithmeticError) as error:
            raise Unknown("The balance cannot be read.", response.status) from error

    def close(self) -> None:
        self._transport.close()


def request_body(submission: Submission) -> bytes:
    """One entry for each distinct text, with all its destinations: equal texts travel once."""
    destinations: dict[str, list[dict[str, str]]] = {}
    for message in submission.messages:
        destination = {"to": message.phone_number.removeprefix("+"), "messageId": message.message_id}
        if message.text in destinations:
            destinations[message.text].append(destination)
        else:
            destinations[message.text] = [destination]
    common: dict[str, Any] = {}
    if submission.sender:
        common["sender"] = submission.sender
    if submission.validity is not None:
        seconds = max(1, min(submission.validity, MAX_VALIDITY))
        common["options"] = {"validityPeriod": {"amount": seconds, "timeUnit": "SECONDS"}}
    if submission.report_url:
        delivery = {"url": submission.report_url, "intermediateReport": False, "notify": True}
        common["webhooks"] = {"delivery": delivery, "contentType": "application/json"}
    return orjson.dumps(
        {
            "messages": [
                {"destinations": to, "content": {"text": text}, **common} for text, to in destinations.items()
            ],
            "options": {"schedule": {"bulkId": submission.reference}, "includeSmsCountInResponse": True},
        }
    )


def raise_for_status(response: Response) -> None:
    """Nothing for a 2xx; else NotSent, Refused or Unknown.

    Only what Infobip documents as refused before processing counts as not sent. A redirect is not among that: a
    303 is even the usual answer to a request that was processed, and a proxy's 307 does not say what it did first.
    """
    status = response.status
    if 200 <= status < 300:
        return
    words = STATUS_IN_WORDS.get(status, "The provider answered with an error")
    detail = f"{words} (HTTP {status}{_refusal_code(response.body)})"
    if status == TOO_MANY_REQUESTS:
        raise NotSent(detail, status, throttled=True, retry_after=_retry_after(response))
    if status in ACCOUNT_HTTP_STATUSES:
        raise Refused(detail, status, is_account=True)
    if 400 <= status < 500 and status != REQUEST_TIMEOUT:
        raise Refused(detail, status)
    raise Unknown(detail, status)


def _refusal_code(body: bytes) -> str:
    """Infobip's code and the names of the fields it objects to; its free text may quote a number."""
    try:
        answer = _object_of(body)
    except ValueError:
        return ""
    code = _text(answer.get("errorCode"), 20)
    if not code:  # the older shape
        exception = answer.get("requestError")
        exception = exception.get("serviceException") if isinstance(exception, dict) else None
        code = _text(exception.get("messageId"), 40) if isinstance(exception, dict) else ""
    violations = answer.get("violations")
    fields = [_text(entry.get("property"), 60) for entry in violations[:3]] if _is_list_of_objects(violations) else []
    return ", ".join(["", *filter(None, [code, *fields])])


def _is_list_of_objects(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _retry_after(response: Response) -> float | None:
    """Seconds, from either form the header may have. A date is counted from the provider's own."""
    value = response.headers.get("retry-after", "")
    if value.strip().isdecimal():
        return float(value)
    try:
        sent = parsedate_to_datetime(response.headers.get("date", ""))
        return max(0.0, (parsedate_to_datetime(value) - sent).total_seconds())
    except (ValueError, TypeError):
        return None


def _object_of(body: bytes) -> dict[str, Any]:
    answer = orjson.loads(body)
    if isinstance(answer, dict):
        return answer
    raise ValueError("not a JSON object")


def _list_in(answer: dict[str, Any], name: str) -> list[Any]:
    entries = answer.get(name)
    if isinstance(entries, list):
        return entries
    raise ValueError(f"no list of {name} in the body")


class _Answer(msgspec.Struct):
    """To a send. Entries stay as they came until each is read: one that cannot be stops no other."""

    messages: list[Raw]


class _Page(msgspec.Struct):
    """Of delivery reports, or of the log."""

    results: list[Raw]
    cursor: Any = None


class _Entry(msgspec.Struct, rename="camel"):
    """Of one message, in an answer, a delivery report or the log. What is the same in most of them stays as it came,
    and is read once for all."""

    message_id: str
    status: Raw
    error: Raw = Raw(b"null")
    price: Raw = Raw(b"null")
    bulk_id: Any = None
    message_count: Any = None
    details: Any = None
    done_at: Any = None


class _LogEntry(msgspec.Struct, rename="camel"):
    """What the log says of a message beside what a delivery report says."""

    destination: Any = None
    sender: Any = None
    content: Any = None
    sent_at: Any = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_page = msgspec.json.Decoder(_Page).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_log_entry = msgspec.json.Decoder(_LogEntry).decode


def _plainly_accepted(entry: Raw) -> str:
    """Its message id, if it says no more than that the provider has the message; as nearly every entry of nearly
    every answer does."""
    try:
        read = _decode_entry(entry)
        return read.message_id if _is_plain_acceptance(bytes(read.status)) else ""
    except ValueError:
        return ""


@lru_cache(maxsize=1024)
def _is_plain_acceptance(status: bytes) -> bool:
    said = _object_of(status)
    return said.get("groupId") == PENDING and said.get("id") != REJECTED_DUPLICATE_MESSAGE_ID


def _reports_of(entries: Sequence[Raw]) -> list[Report]:
    reports = [report for entry in entries if (report := _report_of(entry)) is not None]
    if len(reports) < len(entries):
        logger.warning("%d of %d entries have no message id or status", len(entries) - len(reports), len(entries))
    return reports


def _log_entries_of(entries: Sequence[Raw]) -> list[LogEntry]:
    found = []
    for entry in entries:
        if (report := _report_of(entry)) is not None:
            read = _decode_log_entry(entry)
            text = read.content.get("text") if isinstance(read.content, dict) else None
            number = _text(read.destination, 19).removeprefix("+")
            sender, sent_at = _text(read.sender, 16), _moment(read.sent_at)
            found.append(LogEntry(report, f"+{number}" if number else "", _text(text, MAX_TEXT), sender, sent_at))
    return found


def _log_time(moment: datetime) -> str:
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
    reference, done_at = _text(read.bulk_id, 60), _moment(read.done_at)
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
    """Raises ValueError if the status is no object."""
    said, why = _object_of(status), orjson.loads(error)
    why = why if isinstance(why, dict) and why.get("id") else {}
    status_id, error_code = _int_or_none(said.get("id")), _int_or_none(why.get("id"))
    message_status, reason = _meaning(_group(said), status_id, error_code)
    return _Verdict(
        status=message_status,
        reason=reason,
        account_refused=message_status is MessageStatus.REJECTED and status_id in ACCOUNT_REFUSALS,
        is_repeated=status_id == REJECTED_DUPLICATE_MESSAGE_ID,
        provider_status=_text(said.get("name") or status_id, 60),
        error_code=str(error_code) if error_code is not None else "",
        error_description=_text(why.get("description") or why.get("name"), 200),
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
    """Of the whole message: Infobip names that of one segment. None where the count or a sane figure is missing."""
    said = orjson.loads(price)
    per_segment = said.get("pricePerMessage") if isinstance(said, dict) else None
    if segment_count is None or isinstance(per_segment, bool) or not isinstance(per_segment, int | float):
        return None, ""
    amount = Decimal(repr(per_segment)) * segment_count
    return (amount, _text(said.get("currency"), 3)) if 0 <= amount < MAX_PRICE else (None, "")


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


def _text(value: object, limit: int) -> str:
    """Short enough for its column, and without NUL, which PostgreSQL does not store."""
    return "" if value is None else str(value)[:limit].replace("\x00", "")


def _inbound_of(entry: Any) -> Inbound | None:
    """A message from a handset (format MO_JSON_2); None for what has no id, so that it could come in twice."""
    if not isinstance(entry, dict) or not (reference := _text(entry.get("messageId"), 120)):
        return None
    sender = _text(entry.get("from"), 20)
    count = entry.get("smsCount")
    return Inbound(
        provider_reference=reference,
        sender=f"+{sender}"[:20] if sender.isascii() and sender.isdigit() and len(sender) > 6 else sender,
        recipient=_text(entry.get("to"), 20),
        text=_text(entry.get("text"), 2000),
        keyword=_text(entry.get("keyword"), 40),
        segment_count=count if isinstance(count, int) and 0 < count < 256 else 1,
        received_at=_moment(entry.get("receivedAt")),
    )
