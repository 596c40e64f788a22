"""The contract between the pipeline and a provider: plain immutable values in and out, three errors.

A gateway knows one provider's HTTP API and nothing else: no ORM, no settings, no Celery, no decision to retry.

    GatewayError
    +-- NotSent     the provider certainly does not have the messages; the same call may be tried later
    |   +-- Refused the provider will refuse the same call again: our account, key or request is wrong
    |   `-- NotBegun we did not try: that says nothing about the provider
    `-- Unknown     nobody can say whether the provider has the messages; never a reason to send again
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import NamedTuple, Protocol

from messaging.choices import MessageStatus, Reason

MAX_IDS = 90  # of 17 characters and a separator of 3: Infobip takes 2,048 characters of query


class GatewayError(Exception):
    """`detail`: safe to store and show, without numbers, texts or keys. `http_status`: None if none came."""

    def __init__(self, detail: str, http_status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.http_status = http_status


class NotSent(GatewayError):
    """`retry_after`: seconds, if the provider named a time. `throttled`: it said that we are too fast (429)."""

    def __init__(
        self, detail: str, http_status: int | None = None, *, retry_after: float | None = None, throttled: bool = False
    ) -> None:
        super().__init__(detail, http_status)
        self.retry_after = retry_after
        self.throttled = throttled


class Refused(NotSent):
    """`is_account`: our account is refused (key, credit, right), so every other message would be, too."""

    def __init__(self, detail: str, http_status: int | None = None, *, is_account: bool = False) -> None:
        super().__init__(detail, http_status)
        self.is_account = is_account


class NotBegun(NotSent):
    """We made no call, so it says nothing about the gateway."""


class Unknown(GatewayError):
    pass


class OutgoingMessage(NamedTuple):
    """`phone_number`: E.164 with plus. `text`: final. `message_id`: ours, given to the provider as its id."""

    message_id: str
    phone_number: str
    text: str


@dataclass(frozen=True, slots=True)
class Submission:
    """One call.

    `reference`: ours, names the call at the provider. `report_url`: without the message id, which a gateway adds if it
    needs it there (`report_url_of`). `validity`: in seconds. No byte may leave after `begin_before` (monotonic
    seconds): the messages may be another worker's then.
    """

    reference: str
    messages: Sequence[OutgoingMessage]
    sender: str = ""
    report_url: str = ""
    validity: int | None = None
    begin_before: float = math.inf


class Report(NamedTuple):
    """What a provider says about one message, in our words: an answer, a delivery report or a log entry.

    `status` is SENT, DELIVERED, UNDELIVERED, UNCONFIRMED or REJECTED. UNDELIVERED only if somebody knows that the
    handset did not get it; UNCONFIRMED if the provider has given up finding out. SENT with the reason NO_RECEIPT: the
    operator has it, which may be the last that is heard of it. REJECTED after acceptance: the provider did not send it
    after all, and does not charge for it. `account_refused`: refused because of our account, not this message, which
    can therefore be sent later. `is_repeated`: refused because an earlier call with this id arrived, which proves
    acceptance. `reference`: the call that carried it, where the provider names it. `price`: for the whole message.
    `provider_id`: the provider's own id, in a report that names no id of ours (`message_id` is empty then).
    """

    message_id: str
    status: MessageStatus
    reason: Reason = Reason.NONE
    account_refused: bool = False
    is_repeated: bool = False
    provider_status: str = ""
    error_code: str = ""
    error_description: str = ""
    reference: str = ""
    price: Decimal | None = None
    currency: str = ""
    segment_count: int | None = None
    done_at: datetime | None = None
    provider_id: str = ""


class Inbound(NamedTuple):
    """One SMS from a handset to a number of ours.

    `sender`: in E.164 if it is a number. `recipient`: as the provider names it. `is_answered`: the provider took it for
    an opt-out, and has confirmed it already.
    """

    provider_reference: str
    sender: str
    recipient: str
    text: str
    keyword: str
    segment_count: int
    received_at: datetime | None
    is_answered: bool = False


class Push(NamedTuple):
    """A request from a provider.

    `url`: as the provider called it, with the installation's public address. `headers`: names in lower case.
    `message_id`: ours, if the address names it, else empty.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """What a provider said about the messages of one call, by their public ids.

    `accepted`: accepted, with nothing else said. `reports`: what it said about others. `not_sent`: certainly not
    accepted, because of `not_sent_error`; they can be tried later. A message in none of these was not named.
    `provider_ids`: the provider's own ids, by ours, where it does not take ours.
    """

    http_status: int
    reports: Sequence[Report] = ()
    accepted: Sequence[str] = ()
    not_sent: Sequence[str] = ()
    not_sent_error: NotSent | None = None
    provider_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> dict[str, Report]:
        """Return what it says about each message that it names."""
        plain = {message_id: Report(message_id, MessageStatus.SENT) for message_id in self.accepted}
        return plain | {report.message_id: report for report in self.reports}


@dataclass(frozen=True, slots=True)
class Lookup:
    """`conclusive`: False if the provider could not or would not tell (403, 429, too old).

    Then an id that is not among `reports` is not thereby absent.
    """

    reports: Sequence[Report] = field(default_factory=tuple)
    conclusive: bool = False
    detail: str = ""


class LogEntry(NamedTuple):
    """One message in a provider's log: what it says about it, and what it was.

    `phone_number`: E.164 with plus. `text`: empty where the provider keeps none.
    """

    report: Report
    phone_number: str
    text: str
    sender: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogPage:
    """A part of a log.

    `conclusive`: False if the provider could not or would not tell. `cursor`: leads to the next part; empty at the end.
    """

    entries: Sequence[LogEntry] = ()
    conclusive: bool = False
    detail: str = ""
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    amount: Decimal
    currency: str


class LookUpBy(Enum):
    """What a provider can be asked about later."""

    OUR_ID = auto()  # a call by its reference, messages by our ids
    THEIR_ID = auto()  # messages by the ids that it answered with: nothing about a call whose answer was lost
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the pipeline can assume about a gateway. Times in seconds.

    `resend_unknown_after` None: what the provider's log does not know is closed as unconfirmed, never resent.
    `has_log`: it tells what was sent in a span of time, by our ids; entries older than `log_lag` are certainly in it.
    `fans_out`: a call is a request for each of its messages, all at the same time.
    """

    max_batch: int
    lookup_grace: float
    resend_unknown_after: float | None = None
    close_unknown_after: float = 47 * 3600.0
    lookups_per_minute: float = 120.0
    look_up_by: LookUpBy = LookUpBy.OUR_ID
    has_log: bool = False
    log_lag: float = 0.0
    fans_out: bool = False

    def connections(self, messages: int) -> int:
        """Return how many connections a call with so many messages takes."""
        return min(messages, self.max_batch) if self.fans_out else 1


class Gateway(Protocol):
    """`push_answer`: what its provider wants to read after a push, and of which type."""

    name: str
    policy: Policy
    push_answer: str
    push_answer_type: str

    def submit(self, submission: Submission) -> SubmitAnswer:
        """Submit messages. Raises NotSent, Refused or Unknown."""

    def look_up(self, reference: str) -> Lookup:
        """Return what the provider knows about one call, by our reference. Never raises for an ordinary failure."""

    def look_up_messages(self, ids: Sequence[str]) -> Lookup:
        """Return what the provider knows about up to MAX_IDS messages, whichever calls carried them.

        By our ids or its own, as `policy.look_up_by` says.
        """

    def read_log(self, since: datetime, until: datetime, cursor: str = "") -> LogPage:
        """Return a part of what it accepted in a span of time, from any installation.

        Never raises for an ordinary failure. Inconclusive where `policy.has_log` is False.
        """

    def is_genuine(self, push: Push) -> bool:
        """Return whether a push to the secret address is the provider's, as far as its own signature says."""

    def body_of(self, push: Push) -> bytes:
        """Return what is kept of a push of delivery reports: what `parse_reports` reads."""

    def parse_reports(self, body: bytes) -> list[Report]:
        """Return a pushed or polled body in our words. Raises ValueError for any other body."""

    def count_reports(self, body: bytes) -> int:
        """Return how many reports `parse_reports` will find at most, quickly. Raises ValueError like it."""

    def parse_inbound(self, body: bytes) -> list[Inbound]:
        """Return messages from handsets in a pushed body. Raises ValueError for any other body."""

    def poll_reports(self, limit: int) -> bytes | None:
        """Return the next body of reports waiting at the provider, None if there is none. Raises GatewayError.

        The provider gives each report once: commit the body before polling again.
        """

    def balance(self) -> Balance:
        """Return the balance. Raises GatewayError."""

    def close(self) -> None:
        """Close connections; the gateway can be used again."""


def report_url_of(submission: Submission, message_id: str) -> str:
    """Return where a provider without our ids pushes reports on one message; empty: nowhere."""
    return f"{submission.report_url}/{message_id}" if submission.report_url else ""
