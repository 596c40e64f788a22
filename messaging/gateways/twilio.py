"""Twilio's Programmable Messaging API, version 2010-04-01.

It takes one recipient a request and no id of ours. So our id is in the address that its reports are pushed to, and its
own (SID) is stored beside ours. A request whose answer was lost cannot be looked up: the message is known again when
its first report comes in, and is closed as unconfirmed if none ever does.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit, urlunsplit

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import (
    Balance,
    GatewayError,
    Inbound,
    LogPage,
    Lookup,
    NotSent,
    OutgoingMessage,
    Policy,
    Push,
    Refused,
    Report,
    Submission,
    SubmitAnswer,
    Unknown,
    report_url_of,
)
from messaging.gateways.fanout import submit_each
from messaging.gateways.payload import object_of, shortened
from messaging.gateways.transport import Response, Transport
from messaging.gateways.twilio_reports import is_uncounted, report_of
from smsapp.lib.retry_after import retry_after_seconds
from smsapp.lib.text import segment_count

# --- Status of a message: https://www.twilio.com/docs/messaging/api/message-resource#message-status-values --


# --- Errors: https://www.twilio.com/docs/api/errors --------------------------------------------------------

#: In the answer to a send: this message will never be accepted.
MESSAGE_REFUSALS: dict[int, Reason] = {
    21211: Reason.RECIPIENT_REFUSED,  # invalid To
    21408: Reason.PROVIDER_REFUSED,  # region not permitted for the account
    21602: Reason.CONTENT_REFUSED,  # no body
    21604: Reason.RECIPIENT_REFUSED,  # no To
    21608: Reason.RECIPIENT_REFUSED,  # trial account, number not verified
    21610: Reason.OPTED_OUT,  # sent STOP to this sender
    21612: Reason.PROVIDER_REFUSED,  # no route between this From and this To
    21614: Reason.UNKNOWN_NUMBER,  # no mobile number
    21617: Reason.CONTENT_REFUSED,  # over 1,600 characters
}
#: In the answer to a send: our account or sender is refused, and so every other message would be.
ACCOUNT_REFUSALS = frozenset({20003, 20404, 21212, 21603, 21606, 30002, 63038})
#: In the answer to a send: not processed, come again later.
QUEUE_FULL, TOO_MANY_REQUESTS = 21611, 20429
QUEUE_FULL_WAIT = 60.0  # seconds; the queue of a sender holds ten hours of messages


STATUS_IN_WORDS = {
    401: "The provider refuses our account SID or token",
    403: "The provider refuses our account",
    429: "The provider says we call it too often",
}

MAX_VALIDITY = 36_000  # seconds
MAX_FIELDS = 500  # fields of a form; Twilio sends some twenty
OUR_ID = "smsapp_id"  # in a body of reports as it is stored: the id from its address
_API = "/2010-04-01/Accounts"


class Credentials(NamedTuple):
    """`key_sid` and `key_secret`: an API key, used instead of the token if given. Reports are signed with the token."""

    account_sid: str
    auth_token: str
    key_sid: str = ""
    key_secret: str = ""
    messaging_service_sid: str = ""


class Twilio:
    """Raises ValueError for a base URL that is not http(s), or credentials that cannot be right."""

    push_answer, push_answer_type = "<Response/>", "text/xml"

    def __init__(
        self,
        credentials: Credentials,
        *,
        policy: Policy,
        name: str = "twilio",
        base_url: str = "https://api.twilio.com",
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
    ) -> None:
        if not (credentials.account_sid.isalnum() and credentials.auth_token):
            raise ValueError("an account SID (AC…) and its auth token are needed")
        self.name, self.policy, self._credentials = name, policy, credentials
        user = credentials.key_sid or credentials.account_sid
        secret = credentials.key_secret if credentials.key_sid else credentials.auth_token
        self._transport = Transport(
            base_url,
            {
                "Authorization": f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
                "User-Agent": "smsapp",
            },
            connect_timeout=connect_timeout,
            timeout=timeout,
        )

    def submit(self, submission: Submission) -> SubmitAnswer:
        """Make a POST for each message, at the same time."""
        return submit_each(submission.messages, lambda message: self._submit_one(submission, message))

    def _submit_one(self, submission: Submission, message: OutgoingMessage) -> SubmitAnswer:
        body = self._form(submission, message)
        response = self._transport.post(self._path("Messages.json"), body, begin_before=submission.begin_before)
        if not 200 <= response.status < 300:
            return _refusal(response, message.message_id)
        try:
            sent = object_of(response.body)
            sid = shortened(sent["sid"], 64)
        except (ValueError, KeyError) as error:
            raise Unknown("The answer cannot be read.", response.status) from error
        report = report_of(sent)._replace(message_id=message.message_id)
        if is_uncounted(sent):
            report = report._replace(segment_count=None)
        is_plain = report.status is MessageStatus.SENT and report.segment_count in (None, segment_count(message.text))
        return SubmitAnswer(
            response.status,
            reports=() if is_plain else [report],
            accepted=[message.message_id] if is_plain else (),
            provider_ids={message.message_id: sid},
        )

    def _form(self, submission: Submission, message: OutgoingMessage) -> bytes:
        """Return the form. Raises Refused if neither message nor gateway names a sender."""
        fields = {"To": message.phone_number, "Body": message.text}
        service = self._credentials.messaging_service_sid
        if submission.sender:
            fields["From"] = submission.sender
        elif not service:
            raise Refused("The gateway has no messaging service, and the message no sender.", is_account=True)
        if service:
            fields["MessagingServiceSid"] = service
        if url := report_url_of(submission, message.message_id):
            fields["StatusCallback"] = url
        if submission.validity is not None:
            fields["ValidityPeriod"] = str(max(1, min(submission.validity, MAX_VALIDITY)))
        return urlencode(fields).encode()

    def look_up(self, reference: str) -> Lookup:
        return Lookup(detail="Twilio knows a call by no id of ours.")

    def look_up_messages(self, ids: Sequence[str]) -> Lookup:
        """Look up by SID, one request each. An unknown one was deleted at Twilio, which proves nothing."""
        reports: list[Report] = []
        for sid in ids:
            try:
                response = self._transport.get(self._path(f"Messages/{sid}.json"))
                if response.status == 404:
                    continue
                _raise_for_status(response)
                reports.append(report_of(object_of(response.body)))
            except GatewayError as error:
                return Lookup(reports, detail=f"A message could not be read: {error.detail}")
            except ValueError:
                return Lookup(reports, detail="A message cannot be read.")
        return Lookup(reports, conclusive=True)

    def read_log(self, since: datetime, until: datetime, cursor: str = "") -> LogPage:
        return LogPage(detail="Twilio's log knows no id of ours.")

    def is_genuine(self, push: Push) -> bool:
        """Check `X-Twilio-Signature`, over the address as Twilio called it and all fields, with the account's token."""
        given = push.headers.get("x-twilio-signature", "")
        fields = parse_qs(push.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        return any(
            hmac.compare_digest(given.encode(), signature(self._credentials.auth_token, url, fields).encode())
            for url in _with_and_without_port(push.url)
        )

    def body_of(self, push: Push) -> bytes:
        return urlencode({OUR_ID: push.message_id}).encode() + b"&" + push.body

    def parse_reports(self, body: bytes) -> list[Report]:
        fields = _fields(body)
        report = report_of(
            {
                "sid": fields.get("MessageSid") or fields.get("SmsSid"),
                "status": fields.get("MessageStatus") or fields.get("SmsStatus"),
                "error_code": fields.get("ErrorCode"),
                "error_message": fields.get("ErrorMessage"),
            }
        )
        if not report.provider_status:
            raise ValueError("no report on a message: MessageStatus is missing")
        return [report._replace(message_id=fields.get(OUR_ID, ""))]

    def count_reports(self, body: bytes) -> int:
        return len(self.parse_reports(body))

    def parse_inbound(self, body: bytes) -> list[Inbound]:
        fields = _fields(body)
        reference = shortened(fields.get("MessageSid") or fields.get("SmsSid"), 120)
        if not reference or "From" not in fields:
            raise ValueError("no message: MessageSid or From is missing")
        count = fields.get("NumSegments", "")
        return [
            Inbound(
                provider_reference=reference,
                sender=shortened(fields["From"], 20),
                recipient=shortened(fields.get("To"), 20).removeprefix("+"),
                text=shortened(fields.get("Body"), 2000),
                keyword=shortened(fields.get("OptOutType"), 40),
                segment_count=int(count) if count.isdecimal() and 0 < int(count) < 256 else 1,
                received_at=None,
                is_answered="OptOutType" in fields,
            )
        ]

    def poll_reports(self, limit: int) -> bytes | None:
        """Return None: there is nothing to fetch. What was not pushed is looked up by its SID."""
        return None

    def balance(self) -> Balance:
        response = self._transport.get(self._path("Balance.json"))
        _raise_for_status(response)
        try:
            answer = object_of(response.body)
            return Balance(Decimal(str(answer["balance"])), shortened(answer.get("currency"), 3))
        except (ValueError, KeyError, ArithmeticError) as error:
            raise Unknown("The balance cannot be read.", response.status) from error

    def close(self) -> None:
        self._transport.close()

    def _path(self, rest: str) -> str:
        return f"{_API}/{self._credentials.account_sid}/{rest}"


def signature(token: str, url: str, fields: Mapping[str, Sequence[str]]) -> str:
    """Return what Twilio signs: the address, then each field's name and values, in order. Base64 of HMAC-SHA1.

    https://www.twilio.com/docs/usage/security#validating-requests
    """
    signed = url + "".join(name + value for name in sorted(fields) for value in sorted(set(fields[name])))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def _with_and_without_port(url: str) -> list[str]:
    """Return both spellings: Twilio signs with or without the usual port of the scheme."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = parts.hostname or ""
    if parts.port not in (None, usual):
        return [url]
    return [urlunsplit(parts._replace(netloc=netloc)) for netloc in (host, f"{host}:{usual}")]


def _refusal(response: Response, message_id: str) -> SubmitAnswer:
    """Return the answer if only this message is refused; else raise like `_raise_for_status`."""
    code = _code_of(response)
    if response.status < 500 and code in MESSAGE_REFUSALS:
        report = Report(
            message_id,
            MessageStatus.REJECTED,
            MESSAGE_REFUSALS[code],
            provider_status=f"HTTP {response.status}",
            error_code=str(code),
        )
        return SubmitAnswer(response.status, reports=[report])
    _raise_for_status(response)
    raise AssertionError("an answer that refuses nothing")


def _raise_for_status(response: Response) -> None:
    """Return for a 2xx. Twilio documents every 4xx as refused before processing; the rest is unknown."""
    status, code = response.status, _code_of(response)
    if 200 <= status < 300:
        return
    words = STATUS_IN_WORDS.get(status, "The provider answered with an error")
    detail = f"{words} (HTTP {status}{f', {code}' if code else ''})"
    if status == 429 or code == TOO_MANY_REQUESTS:
        raise NotSent(detail, status, throttled=True, retry_after=retry_after_seconds(response.headers))
    if code == QUEUE_FULL:
        raise NotSent(detail, status, throttled=True, retry_after=QUEUE_FULL_WAIT)
    if status in (401, 403, 404) or code in ACCOUNT_REFUSALS:
        raise Refused(detail, status, is_account=True)
    if 400 <= status < 500 and status != 408:
        raise Refused(detail, status)
    raise Unknown(detail, status)


def _code_of(response: Response) -> int | None:
    try:
        code = object_of(response.body).get("code")
    except ValueError:
        return None
    return code if isinstance(code, int) else None


def _fields(body: bytes) -> dict[str, str]:
    """Return a form's fields. Raises ValueError.

    `parse_qsl` takes twice the time: it decodes every name and value, of which few are encoded.
    """
    text = body.decode()
    if text.count("&") >= MAX_FIELDS:
        raise ValueError("more fields than a form of Twilio has")
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return {_decoded(name): _decoded(value) for name, _, value in pairs}


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text
