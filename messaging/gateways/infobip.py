"""Infobip's SMS API, version 3."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeGuard

import orjson

from messaging.gateways.base import (
    Balance,
    GatewayError,
    Inbound,
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
from messaging.gateways.infobip_reports import (
    decode_answer,
    decode_page,
    inbound_of,
    log_entries_of,
    log_time,
    plainly_accepted,
    reports_of,
)
from messaging.gateways.payload import object_of, shortened
from messaging.gateways.transport import Response, Transport
from smsapp.lib.retry_after import retry_after_seconds

logger = logging.getLogger(__name__)

# --- Status: {"groupId", "groupName", "id", "name"} ---------------------------------------------------------


# --- Error: {"id", "name", "description", "permanent"}; says more exactly why than the status does ----------


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
MAX_LOG_PAGES = 5  # pages of one call, whose messages fit in one unless each was reported several times


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
        """Make one POST, whatever happens. A message that the answer does not name is not among the reports."""
        response = self._transport.post(
            "/sms/3/messages", request_body(submission), begin_before=submission.begin_before
        )
        raise_for_status(response)
        ours = {message.message_id for message in submission.messages}
        try:
            entries = decode_answer(response.body).messages
        except ValueError as error:
            raise Unknown("The answer cannot be read.", response.status) from error
        accepted = [message_id for entry in entries if (message_id := plainly_accepted(entry))]
        others = [entry for entry in entries if not plainly_accepted(entry)] if len(accepted) < len(entries) else []
        return SubmitAnswer(
            response.status,
            reports=[report for report in reports_of(others) if report.message_id in ours],
            accepted=[message_id for message_id in accepted if message_id in ours],
        )

    def look_up(self, reference: str) -> Lookup:
        """Return what the log knows about one call's messages. It reaches back 48 hours, at 120 requests a minute."""
        return self._read_log(bulkId=reference)

    def look_up_messages(self, ids: Sequence[str]) -> Lookup:
        return self._read_log(messageId=",".join(ids))

    def read_log(self, since: datetime, until: datetime, cursor: str = "") -> LogPage:
        return self._log_page({"sentSince": log_time(since), "sentUntil": log_time(until)}, cursor)

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
            page = decode_page(response.body)
        except GatewayError as error:
            return LogPage(detail=f"The log could not be read: {error.detail}")
        except ValueError:
            return LogPage(detail="The log's answer cannot be read.")
        entries = log_entries_of(page.results)
        if len(entries) < len(page.results):
            return LogPage(entries, detail="The log has entries that cannot be read.")
        following = page.cursor.get("nextCursor") if isinstance(page.cursor, dict) and entries else None
        return LogPage(entries, conclusive=True, cursor=str(following or ""))

    def is_genuine(self, push: Push) -> bool:
        """Return True: Infobip signs nothing that a send could ask for, so the secret address is the proof."""
        return True

    def body_of(self, push: Push) -> bytes:
        return push.body

    def parse_reports(self, body: bytes) -> list[Report]:
        """Return delivery reports as pushed and polled, or log entries: what is read here is the same in all."""
        return reports_of(decode_page(body).results)

    def count_reports(self, body: bytes) -> int:
        return len(decode_page(body).results)

    def parse_inbound(self, body: bytes) -> list[Inbound]:
        return [inbound for entry in _list_in(object_of(body), "results") if (inbound := inbound_of(entry)) is not None]

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
            answer = object_of(response.body)
            return Balance(Decimal(str(answer["balance"])), shortened(answer.get("currency"), 3))
        except (ValueError, KeyError, ArithmeticError) as error:
            raise Unknown("The balance cannot be read.", response.status) from error

    def close(self) -> None:
        self._transport.close()


def request_body(submission: Submission) -> bytes:
    """Return the body: one entry for each distinct text, with all its destinations, so equal texts travel once."""
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
    """Return for a 2xx; else raise NotSent, Refused or Unknown.

    Only what Infobip documents as refused before processing counts as not sent. A redirect does not: a 303 is even the
    usual answer to a processed request, and a proxy's 307 does not say what it did first.
    """
    status = response.status
    if 200 <= status < 300:
        return
    words = STATUS_IN_WORDS.get(status, "The provider answered with an error")
    detail = f"{words} (HTTP {status}{_refusal_code(response.body)})"
    if status == TOO_MANY_REQUESTS:
        raise NotSent(detail, status, throttled=True, retry_after=retry_after_seconds(response.headers))
    if status in ACCOUNT_HTTP_STATUSES:
        raise Refused(detail, status, is_account=True)
    if 400 <= status < 500 and status != REQUEST_TIMEOUT:
        raise Refused(detail, status)
    raise Unknown(detail, status)


def _refusal_code(body: bytes) -> str:
    """Return Infobip's code and the names of the fields it objects to; its free text may quote a number."""
    try:
        answer = object_of(body)
    except ValueError:
        return ""
    code = shortened(answer.get("errorCode"), 20)
    if not code:  # the older shape
        exception = answer.get("requestError")
        exception = exception.get("serviceException") if isinstance(exception, dict) else None
        code = shortened(exception.get("messageId"), 40) if isinstance(exception, dict) else ""
    violations = answer.get("violations")
    fields = (
        [shortened(entry.get("property"), 60) for entry in violations[:3]] if _is_list_of_objects(violations) else []
    )
    return ", ".join(["", *filter(None, [code, *fields])])


def _is_list_of_objects(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _list_in(answer: dict[str, Any], name: str) -> list[Any]:
    entries = answer.get(name)
    if isinstance(entries, list):
        return entries
    raise ValueError(f"no list of {name} in the body")
