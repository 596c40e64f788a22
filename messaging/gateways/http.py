"""Any provider with an HTTP API, as an operator describes it: no code, a set of rules.

    request     address, headers and body with `{placeholders}`; a body is JSON, a form, or the query of the address
    answer      where it holds the provider's id, status and error: dotted paths, `messages.0.id`
    statuses    the provider's words for them, and ours
    reports     where a pushed report holds the same

A message is a request of its own. HTTP statuses are read cautiously: 4xx is refused, 401 and 403 concern our account,
429 means later, and after anything else nobody knows what the provider did.
"""

import base64
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import orjson

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import (
    Balance,
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
from messaging.gateways.payload import shortened
from messaging.gateways.transport import Response, Transport
from smsapp.lib.retry_after import retry_after_seconds

#: Values of a message. The names of credentials, and `basic`, are placeholders, too.
PLACEHOLDERS = ("to", "to_digits", "text", "sender", "message_id", "report_url", "validity")
METHODS = ("POST", "PUT", "GET")
FORMATS = {"json": "application/json", "form": "application/x-www-form-urlencoded", "query": ""}
#: Our word for a provider's status. `undelivered` and the two that follow are for messages that certainly did not
#: arrive; `unconfirmed` for those the provider has given up on; `operator` for those the operator has.
MEANINGS: dict[str, tuple[MessageStatus, Reason]] = {
    "sent": (MessageStatus.SENT, Reason.NONE),
    "operator": (MessageStatus.SENT, Reason.NO_RECEIPT),
    "delivered": (MessageStatus.DELIVERED, Reason.NONE),
    "undelivered": (MessageStatus.UNDELIVERED, Reason.NOT_DELIVERED),
    "unreachable": (MessageStatus.UNDELIVERED, Reason.UNREACHABLE),
    "unknown_number": (MessageStatus.UNDELIVERED, Reason.UNKNOWN_NUMBER),
    "unconfirmed": (MessageStatus.UNCONFIRMED, Reason.NO_RECEIPT),
    "rejected": (MessageStatus.REJECTED, Reason.PROVIDER_REFUSED),
    "opted_out": (MessageStatus.REJECTED, Reason.OPTED_OUT),
}
OUR_ID = "smsapp_id"  # in a body of reports as it is stored
DEFAULT_VALIDITY = 48 * 3600  # seconds, where a message has no limit of its own
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator fills in. Paths are empty where the provider says nothing of the kind.

    `body`: for JSON any value, for a form or query an object of strings. `accepted`: HTTP statuses of an answer that
    accepted the message. `not_processed`: further ones by which the provider promises that it did nothing. `statuses`:
    the provider's word, in lower case, and a key of MEANINGS, for answers and reports. `list_path`: the list of reports
    in a body, empty if it is one report. `secret_header`: the header of a pushed report that carries the credential
    `callback`. Inbound paths are those of a message from a handset.
    """

    url: str
    method: str = "POST"
    format: str = "json"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    accepted: Sequence[int] = (200, 201, 202)
    not_processed: Sequence[int] = ()
    id_path: str = ""
    status_path: str = ""
    error_path: str = ""
    statuses: Mapping[str, str] = field(default_factory=dict)
    report_format: str = "json"
    list_path: str = ""
    report_id_path: str = ""
    report_status_path: str = ""
    report_error_path: str = ""
    secret_header: str = ""
    inbound_id_path: str = ""
    inbound_from_path: str = ""
    inbound_to_path: str = ""
    inbound_text_path: str = ""


class Defect(ValueError):
    """A rule that cannot work. `field`: its name in Rules."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check(rules: Rules, credentials: Mapping[str, str]) -> None:
    """Raise Defect for what an operator has to fix; the rules are tried with a message before any is sent."""
    parts = urlsplit(rules.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not rules.url.isascii():
        raise Defect("url", "The address must look like https://host/path.")
    if "{" in parts.netloc:
        raise Defect("url", "The host is the same for every message: no placeholder may stand in it.")
    if rules.method not in METHODS:
        raise Defect("method", f"The method is one of {', '.join(METHODS)}.")
    if rules.format not in FORMATS:
        raise Defect("format", f"The format is one of {', '.join(FORMATS)}.")
    if rules.format != "query" and rules.method == "GET":
        raise Defect("format", "A GET has no body: what it sends is the query of its address.")
    if rules.format != "json" and not _is_texts(rules.body):
        raise Defect("body", 'A form is an object of names and texts, such as {"to": "{to}"}.')
    if not _is_texts(rules.headers):
        raise Defect("headers", "Headers are an object of names and texts.")
    if rules.report_format not in ("json", "form"):
        raise Defect("report_format", "Reports are pushed as json or as a form.")
    for word, meaning in rules.statuses.items():
        if meaning not in MEANINGS:
            known = ", ".join(MEANINGS)
            raise Defect("statuses", f"{word!r} means {meaning!r}, which is none of {known}.")
    if (rules.status_path or rules.report_status_path) and not rules.statuses:
        raise Defect("statuses", "Statuses are read, and none of them is given a meaning.")
    example = values_of(Submission("call-1", ()), OutgoingMessage("m-1", "+15005550006", 'Hi "there"\n😀'), credentials)
    for name, template in (("url", rules.url), ("headers", rules.headers), ("body", rules.body)):
        try:
            fill(template, example)
        except KeyError as error:
            known = ", ".join(sorted(example))
            raise Defect(name, f"There is no placeholder {{{error.args[0]}}}; there are {known}.") from None
    if "to" not in (used := _used(rules.url) | _used(rules.body)) and "to_digits" not in used:
        raise Defect("body", "The number is not sent: {to} or {to_digits} has to stand somewhere.")
    if "text" not in used:
        raise Defect("body", "The text is not sent: {text} has to stand somewhere.")
    for name, value in fill(rules.headers, example).items():
        if not value.isascii() or not value.isprintable() or not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise Defect("headers", f"The header {name} cannot be sent like this.")


class Http:
    """Raises Defect for rules that cannot work."""

    push_answer, push_answer_type = "OK", "text/plain"

    def __init__(
        self,
        rules: Rules,
        credentials: Mapping[str, str],
        *,
        policy: Policy,
        name: str,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
    ) -> None:
        check(rules, credentials)
        self.name, self.policy, self._rules, self._credentials = name, policy, rules, dict(credentials)
        parts = urlsplit(rules.url)
        self._path = rules.url[len(f"{parts.scheme}://{parts.netloc}") :] or "/"
        headers = {"User-Agent": "smsapp", "Accept": "application/json"}
        if content_type := FORMATS[rules.format]:
            headers["Content-Type"] = content_type
        values = _credential_values(credentials)
        own = {name: text for name, text in rules.headers.items() if not _used(text) & set(PLACEHOLDERS)}
        if len(own) < len(rules.headers):
            raise Defect("headers", "Headers are the same for every message: only credentials may stand in them.")
        self._transport = Transport(
            f"{parts.scheme}://{parts.netloc}",
            headers | fill(own, values),
            connect_timeout=connect_timeout,
            timeout=timeout,
        )

    @property
    def method(self) -> str:
        return self._rules.method

    def submit(self, submission: Submission) -> SubmitAnswer:
        return submit_each(submission.messages, lambda message: self._submit_one(submission, message))

    def request_of(self, submission: Submission, message: OutgoingMessage) -> tuple[str, bytes | None]:
        """Return path with query, and body."""
        rules, values = self._rules, values_of(submission, message, self._credentials)
        path = fill(self._path, {name: quote(value, safe="") for name, value in values.items()})
        if rules.format == "json":
            return path, orjson.dumps(fill(rules.body, values)) if rules.body is not None else None
        fields = urlencode(fill(rules.body, values))
        if rules.format == "form":
            return path, fields.encode()
        return f"{path}{'&' if '?' in path else '?'}{fields}", None if rules.method == "GET" else b""

    def ask(self, submission: Submission, message: OutgoingMessage) -> Response:
        """Make one request and return the answer as it came. Raises NotSent or Unknown."""
        path, body = self.request_of(submission, message)
        return self._transport.request(self._rules.method, path, body, begin_before=submission.begin_before)

    def _submit_one(self, submission: Submission, message: OutgoingMessage) -> SubmitAnswer:
        return self.read_answer(self.ask(submission, message), message.message_id)

    def read_answer(self, response: Response, message_id: str) -> SubmitAnswer:
        """Return what an answer says about the message. Raises NotSent, Refused or Unknown."""
        rules = self._rules
        _raise_for_status(response, rules)
        try:
            content = _content_of(response.body, "json")
        except ValueError:
            if rules.id_path or rules.status_path:
                raise Unknown("The answer is no JSON.", response.status) from None
            content = None
        provider_id = shortened(_at(content, rules.id_path), 120)
        provider_ids = {message_id: provider_id} if provider_id else {}
        if not rules.status_path:
            return SubmitAnswer(response.status, accepted=[message_id], provider_ids=provider_ids)
        report = self._report(content, message_id, "", rules.status_path, rules.error_path)
        if report is None:
            word = shortened(_at(content, rules.status_path), 40)
            raise Unknown(f"The answer has a status without a meaning: {word or 'none'}.", response.status)
        if (report.status, report.reason) == MEANINGS["sent"]:
            return SubmitAnswer(response.status, accepted=[message_id], provider_ids=provider_ids)
        return SubmitAnswer(response.status, reports=[report], provider_ids=provider_ids)

    def look_up(self, reference: str) -> Lookup:
        return Lookup(detail="This gateway has no look-up.")

    def look_up_messages(self, ids: Sequence[str]) -> Lookup:
        return Lookup(detail="This gateway has no look-up.")

    def read_log(self, since: datetime, until: datetime, cursor: str = "") -> LogPage:
        return LogPage(detail="This gateway has no log.")

    def is_genuine(self, push: Push) -> bool:
        header = self._rules.secret_header
        if not header:
            return True
        given = push.headers.get(header.lower(), "")
        return hmac.compare_digest(given.encode(), self._credentials.get("callback", "").encode()) and bool(given)

    def body_of(self, push: Push) -> bytes:
        """With our id in front, on a line of its own."""
        return f"{OUR_ID}={push.message_id}\n".encode() + push.body

    def parse_reports(self, body: bytes) -> list[Report]:
        rules = self._rules
        first, _, rest = body.partition(b"\n")
        message_id = first.decode().removeprefix(f"{OUR_ID}=")
        content = _content_of(rest, rules.report_format)
        entries = _at(content, rules.list_path) if rules.list_path else [content]
        if not isinstance(entries, list):
            raise ValueError(f"no list of reports at {rules.list_path}")
        reports = []
        for entry in entries:
            provider_id = shortened(_at(entry, rules.report_id_path), 120)
            report = self._report(entry, message_id, provider_id, rules.report_status_path, rules.report_error_path)
            if report is not None and (message_id or provider_id):
                reports.append(report)
        return reports

    def count_reports(self, body: bytes) -> int:
        return len(self.parse_reports(body))

    def parse_inbound(self, body: bytes) -> list[Inbound]:
        rules = self._rules
        content = _content_of(body, rules.report_format)
        reference = shortened(_at(content, rules.inbound_id_path), 120)
        sender = shortened(_at(content, rules.inbound_from_path), 20)
        if not (rules.inbound_from_path and reference and sender):
            raise ValueError("no message from a handset: its id or its sender is missing")
        if sender.isascii() and sender.isdigit() and len(sender) > 6:
            sender = f"+{sender}"[:20]
        recipient = shortened(_at(content, rules.inbound_to_path), 20).removeprefix("+")
        text = shortened(_at(content, rules.inbound_text_path), 2000)
        return [Inbound(reference, sender, recipient, text, "", 1, None)]

    def poll_reports(self, limit: int) -> bytes | None:
        return None

    def balance(self) -> Balance:
        raise Refused("This gateway does not tell its balance.")

    def close(self) -> None:
        self._transport.close()

    def _report(
        self, content: Any, message_id: str, provider_id: str, status_path: str, error_path: str
    ) -> Report | None:
        """Return a report, or None for a status without a meaning: it says nothing."""
        word = shortened(_at(content, status_path), 60)
        meaning = self._rules.statuses.get(word.lower())
        if meaning is None:
            return None
        status, reason = MEANINGS[meaning]
        is_bad = status in (MessageStatus.UNDELIVERED, MessageStatus.UNCONFIRMED, MessageStatus.REJECTED)
        error = shortened(_at(content, error_path), 200) if is_bad else ""
        return Report(
            message_id,
            status,
            reason,
            provider_status=word,
            error_code=error if len(error) <= 20 else "",
            error_description=error,
            provider_id="" if message_id else provider_id,
        )


def values_of(submission: Submission, message: OutgoingMessage, credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the placeholders."""
    validity = submission.validity if submission.validity is not None else DEFAULT_VALIDITY
    return _credential_values(credentials) | {
        "to": message.phone_number,
        "to_digits": message.phone_number.removeprefix("+"),
        "text": message.text,
        "sender": submission.sender,
        "message_id": message.message_id,
        "validity": str(validity),
        "report_url": report_url_of(submission, message.message_id),
    }


def _credential_values(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the credentials by name; `basic` is user and password for HTTP Basic."""
    values = dict(credentials)
    if "user" in credentials and "password" in credentials:
        pair = f"{credentials['user']}:{credentials['password']}"
        values["basic"] = base64.b64encode(pair.encode()).decode()
    return values


def fill(template: Any, values: Mapping[str, str]) -> Any:
    """Fill in the placeholders of a template's texts, however deep: a value never becomes structure.

    Raises KeyError with the name of an unknown placeholder.
    """
    if isinstance(template, str):
        return _PLACEHOLDER.sub(lambda found: values[found[1]], template)
    fill_one: Callable[[Any], Any] = partial(fill, values=values)
    if isinstance(template, Mapping):
        return {name: fill_one(value) for name, value in template.items()}
    return list(map(fill_one, template)) if isinstance(template, list) else template


def _used(template: Any) -> set[str]:
    if isinstance(template, str):
        return set(_PLACEHOLDER.findall(template))
    parts = template.values() if isinstance(template, Mapping) else template if isinstance(template, list) else ()
    return {name for part in parts for name in _used(part)}


def _is_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


def _raise_for_status(response: Response, rules: Rules) -> None:
    status = response.status
    if status in rules.accepted:
        return
    detail = f"The provider answered HTTP {status}"
    if status == 429:
        raise NotSent(detail, status, throttled=True, retry_after=retry_after_seconds(response.headers))
    if status in rules.not_processed:
        raise NotSent(detail, status)
    if status in (401, 402, 403, 404, 405):
        raise Refused(detail, status, is_account=True)
    if 400 <= status < 500 and status not in (408, 409):
        raise Refused(detail, status)
    raise Unknown(detail, status)


def _content_of(body: bytes, kind: str) -> Any:
    """Return the parsed body. Raises ValueError."""
    if kind == "form":
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=500))
    return orjson.loads(body)


def _at(content: Any, path: str) -> Any:
    """Return the value at a dotted path, whose numbers count from 0 in lists; None if there is nothing."""
    for part in path.split(".") if path else ():
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, list) and part.isdecimal() and int(part) < len(content):
            content = content[int(part)]
        else:
            return None
    return content if path else None
