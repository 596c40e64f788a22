"""The contract between the pipeline and a provider: plain immutable values in and out, three errors.

A gateway knows one provider's HTTP API and nothing else: no ORM, no settings, no Celery, no decision to retry.

    GatewayError
    +-- NotSent     the provider does not have the messages, for certain; the same call may be tried later
    |   +-- Refused the provider will refuse the same call again: our account, key or request is wrong
    |   `-- NotBegun we did not try: that says nothing of the provider
    `-- Unknown     nobody can say whether the provider took them; never a reason to send again
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
    """`detail` is safe to store and show: no numbers, texts or keys. `http_status` is None when none came."""

    def __init__(self, detail: str, http_status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.http_status = http_status


class NotSent(GatewayError):
    """`retry_after` in seconds when the provider named a time; `throttled` when it said we are too fast (429)."""

    def __init__(
        self, detail: str, http_status: int | None = None, *, retry_after: float | None = None, throttled: bool = False
    ) -> None:
        super().__init__(detail, http_status)
        self.retry_after = retry_after
        self.throttled = throttled


class Refused(NotSent):
    """`is_account` when the account is refused (key, credit, right), so every other message would be too."""

    def __init__(self, detail: str, http_status: int | None = None, *, is_account: bool = False) -> None:
        super().__init__(detail, http_status)
        self.is_account = is_account


class NotBegun(NotSent):
    """We made no call, so it says nothing of the gateway."""


class Unknown(GatewayError):
    pass


class OutgoingMessage(NamedTuple):
    """`phone_number` in E.164 with plus; `text` final; `message_id` ours, given to the provider as its id."""

    message_id: str
    phone_number: str
    text: str


@dataclass(frozen=True, slots=True)
class Submission:
    """One call. `reference` is ours and names the call at the provider; `report_url` without the message id, which who
    needs it there adds (`report_url_of`); `validity` in seconds; no byte of it may leave after `begin_before`
    (monotonic seconds): the messages may be another worker's then."""

    reference: str
    messages: Sequence[OutgoingMessage]
    sender: str = ""
    report_url: str = ""
    validity: int | None = None
    begin_before: float = math.inf


class Report(NamedTuple):
    """What a provider says of one message, in our words: an answer, a delivery report or a log entry.

    `status` is one of SENT, DELIVERED, UNDELIVERED, UNCONFIRMED, REJECTED. UNDELIVERED is said only where somebody
    knows that the handset has not got it; UNCONFIRMED where the provider has given up finding out. SENT with the reason
    NO_RECEIPT: the operator has it, which may be the last that is heard of it. REJECTED of what was taken before: the
    provider did not send it after all, and does not charge for it. `account_refused`: refused for a reason that
    concerns our account, not this message, which therefore may be sent later. `is_repeated`: refused because an
    earlier call with this id arrived, which is proof of acceptance. `reference` names the call it was carried by,
    where the provider says so. `price` is for the whole message. `provider_id`: the provider's own id, of a report that
    names no id of ours (`message_id` is empty then).
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
    """One SMS from a handset to a number of ours. `sender` in E.164 where it is a number; `recipient` as told.
    `is_answered`: the provider took it for an opt-out, and has confirmed it already."""

    provider_reference: str
    sender: str
    recipient: str
    text: str
    keyword: str
    segment_count: int
    received_at: datetime | None
    is_answered: bool = False


class Push(NamedTuple):
    """A request of a provider's. `url`: as the provider called it, the installation's public address in front;
    `headers` with lower-case names; `message_id`: ours, where it stood in the address, else empty."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """What a provider said about the messages of one call, by their public ids.

    `accepted`: taken, with nothing else said. `reports`: what it said of others. `not_sent`: not taken, for certain,
    because of `not_sent_error`; they may be tried later. A message in none of these was not named. `provider_ids`: the
    provider's own ids, by ours, where it does not take ours.
    """

    http_status: int
    reports: Sequence[Report] = ()
    accepted: Sequence[str] = ()
    not_sent: Sequence[str] = ()
    not_sent_error: NotSent | None = None
    provider_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdicts(self) -> dict[str, Report]:
        """What it says of each message that it names."""
        plain = {message_id: Report(message_id, MessageStatus.SENT) for message_id in self.accepted}
        return plain | {report.message_id: report for report in self.reports}


@dataclass(frozen=True, slots=True)
class Lookup:
    """`conclusive` is False when the provider could not or would not tell (403, 429, too old): then an id that
    is not among `reports` is not thereby absent."""

    reports: Sequence[Report] = field(default_factory=tuple)
    conclusive: bool = False
    detail: str = ""


class LogEntry(NamedTuple):
    """One message in a provider's log: what it says of it, and what it was. `phone_number` in E.164 with plus; `text`
    is empty where the provider keeps none."""

    report: Report
    phone_number: str
    text: str
    sender: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogPage:
    """A part of a log. `conclusive` is False when the provider could not or would not tell. `cursor` leads to the next
    part; empty: this was the last."""

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
    THEIR_ID = auto()  # messages by the ids that it answered with: nothing of a call whose answer was lost
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the pipeline may assume of a gateway. Times in seconds.

    `resend_unknown_after` None: what the provider's log does not know is closed as unconfirmed, never sent again.
    `has_log`: it tells what was sent in a span of time, by our ids; what is older than `log_lag` is in it for certain.
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
        """How many a call with so many messages takes."""
        return min(messages, self.max_batch) if self.fans_out else 1


class Gateway(Protocol):
    """`push_answer`: what its provider wants to read when it has pushed something, and of which type."""

    name: str
    policy: Policy
    push_answer: str
    push_answer_type: str

    def submit(self, submission: Submission) -> SubmitAnswer:
        """Hand over; raises NotSent, Refused or Unknown."""

    def look_up(self, reference: str) -> Lookup:
        """What the provider knows of one call, by our reference; never raises for an ordinary failure."""

    def look_up_messages(self, ids: Sequence[str]) -> Lookup:
        """What the provider knows of up to MAX_IDS messages, whichever calls carried them, by our ids or by its own: as
        `policy.look_up_by` says."""

    def read_log(self, since: datetime, until: datetime, cursor: str = "") -> LogPage:
        """A part of what it took in a span of time, from whatever installation; never raises for an ordinary failure.
        Inconclusive where `policy.has_log` is False."""

    def is_genuine(self, push: Push) -> bool:
        """Whether a push that came to the secret address is the provider's, as far as its own signature says."""

    def body_of(self, push: Push) -> bytes:
        """What is kept of a push of delivery reports: what `parse_reports` reads."""

    def parse_reports(self, body: bytes) -> list[Report]:
        """A pushed or polled body in our words; raises ValueError if it is no body of this provider's."""

    def count_reports(self, body: bytes) -> int:
        """How many reports `parse_reports` will find at most, found out quickly; raises ValueError as that does."""

    def parse_inbound(self, body: bytes) -> list[Inbound]:
        """Messages from handsets in a pushed body; raises ValueError for a body that is none."""

    def poll_reports(self, limit: int) -> bytes | None:
        """The next body of reports waiting at the provider, None if there is none; raises GatewayError.
        The provider gives each report once: commit the body before polling again."""

    def balance(self) -> Balance:
        """Raises GatewayError."""

    def close(self) -> None:
        """Let go of connections; the gateway may be used again."""


def report_url_of(submission: Submission, message_id: str) -> str:
    """Where reports on one message are pushed by a provider that knows it by no id of ours; empty: nowhere."""
    return f"{submission.report_url}/{message_id}" if submission.report_url else ""
