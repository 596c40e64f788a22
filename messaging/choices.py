"""States of message, batch and attempt, and who may move them: `apply` and every conditional update read this.

Campaigns stand to the left; their table is in `campaigns/choices.py` and is named with the others in MACHINES.
"""

from enum import StrEnum

from django.db.models import IntegerChoices, TextChoices
from django.utils.translation import gettext_lazy as _

from campaigns.choices import CAMPAIGN
from smsapp.lib.state_machine import Machine


class MessageStatus(IntegerChoices):
    """A small integer in the message table, which has millions of rows; everywhere else its name.

    `queued` is public as PENDING. What the provider calls EXPIRED is `undelivered` here; `expired` is ours:
    never handed over in time.
    """

    QUEUED = 1, "queued"
    UNKNOWN = 2, "unknown"
    SENT = 3, "sent"
    UNCONFIRMED = 4, "unconfirmed"
    DELIVERED = 5, "delivered"
    UNDELIVERED = 6, "undelivered"
    REJECTED = 7, "rejected"
    FAILED = 8, "failed"
    EXPIRED = 9, "expired"
    CANCELLED = 10, "cancelled"
    SUPPRESSED = 11, "suppressed"

    @property
    def public(self) -> str:
        """The name in the API."""
        return "PENDING" if self is MessageStatus.QUEUED else self.name


M = MessageStatus
#: For translators: what the dashboard makes of the names above.
STATUS_WORDS = (
    _("Queued"),
    _("Unknown"),
    _("Sent"),
    _("Unconfirmed"),
    _("Delivered"),
    _("Undelivered"),
    _("Rejected"),
    _("Failed"),
    _("Expired"),
    _("Cancelled"),
    _("Suppressed"),
    _("Sending"),
)

#: Facts only ever raise the rank.
RANK: dict[MessageStatus, int] = {
    M.QUEUED: 1,
    M.UNKNOWN: 4,
    M.SENT: 5,
    M.UNCONFIRMED: 8,
    M.DELIVERED: 9,
    M.UNDELIVERED: 9,
    M.REJECTED: 9,
    M.FAILED: 9,
    M.EXPIRED: 9,
    M.CANCELLED: 9,
    M.SUPPRESSED: 9,
}

#: The provider has, or had, the message.
ACCEPTED = frozenset({M.SENT, M.DELIVERED, M.UNDELIVERED})
OPEN = frozenset({M.QUEUED, M.UNKNOWN, M.SENT})
NEVER_HANDED_OVER = frozenset({M.REJECTED, M.FAILED, M.EXPIRED, M.CANCELLED, M.SUPPRESSED})


class Reason(TextChoices):
    """Why a message ended as it did, in words for a customer. Provider codes stay in the delivery report."""

    NONE = "", "—"
    MISSING_VALUE = "missing_value", _("A value for a placeholder is missing in the row")
    TEXT_TOO_LONG = "text_too_long", _("With its values filled in, the text is longer than 1,600 characters")
    EMPTY_TEXT = "empty_text", _("With its values filled in, the text is empty")
    OPTED_OUT = "opted_out", _("The recipient has opted out")
    COUNTRY_BLOCKED = "country_blocked", _("The account may not send to this country")
    TOO_OFTEN = "too_often", _("The recipient got as many messages as one may get for now")
    NO_ROUTE = "no_route", _("No gateway is set up for this destination")
    TOO_LATE = "too_late", _("It could not be handed over before its validity ended")
    CANCELLED = "cancelled", _("The campaign was cancelled")
    POISON = "poison", _("Processing broke off repeatedly; an operator has to look at it")
    RECIPIENT_REFUSED = "recipient_refused", _("The provider refuses this recipient")
    SENDER_REFUSED = "sender_refused", _("The provider refuses this sender")
    CONTENT_REFUSED = "content_refused", _("The provider or operator refuses this content")
    PROVIDER_REFUSED = "provider_refused", _("The provider refused the message")
    UNREACHABLE = "unreachable", _("The handset could not be reached in time")
    UNKNOWN_NUMBER = "unknown_number", _("The number is not in service")
    NOT_DELIVERED = "not_delivered", _("The operator could not deliver it")
    ANSWER_LOST = "answer_lost", _("The provider's answer was lost; it is being looked up")
    NO_PROOF = "no_proof", _("It is not known whether the provider took it; it was not sent again")
    NO_REPORT = "no_report", _("The provider took it and never reported the outcome")
    NO_RECEIPT = "no_receipt", _("The operator took it; whether the phone got it was not reported")


class BatchState(TextChoices):
    DEFERRED = "held", _("Held until its release time, or while nothing of its campaign may leave")
    READY = "ready", _("Ready")
    LEASED = "leased", _("A worker holds it")
    UNKNOWN = "unknown", _("Nothing is queued, and an outcome is being looked up")
    DONE = "done", _("Nothing left to hand over")


#: States of a batch that nobody holds; which of them, its tally says.
RESTING = (BatchState.READY, BatchState.UNKNOWN, BatchState.DONE)


class AttemptState(TextChoices):
    OPEN = "open", _("The call may be in flight")
    ANSWERED = "answered", _("The provider answered")
    NOT_SENT = "not_sent", _("Not sent, for certain")
    UNKNOWN = "unknown", _("The outcome is unknown")
    RESOLVED = "resolved", _("The unknown outcome was cleared up")


class GatewayKind(TextChoices):
    INFOBIP = "infobip", _("Infobip")
    TWILIO = "twilio", _("Twilio")
    HTTP = "http", _("Custom HTTP")


class Lane(IntegerChoices):
    """Which worker process sends a batch."""

    SINGLES = 0, "single sends"
    CAMPAIGNS = 1, "campaigns"


class FactSource(TextChoices):
    """By what, or by whom, a message is moved."""

    ANSWER = "answer", _("Answer to our call")
    PUSH = "push", _("Pushed delivery report")
    POLL = "poll", _("Polled delivery report")
    LOOKUP = "lookup", _("Look-up at the provider")
    REFUSAL = "refusal", _("Refusal of what the provider had taken")
    DEADLINE = "deadline", _("Deadline passed")
    DECISION = "decision", _("Our own decision")


class Actor(StrEnum):
    """Who moves a batch or an attempt. WORKER: the one that holds the lease, by its epoch."""

    WORKER = "worker"
    SWEEP = "sweep"
    TALLY = "tally"  # `apply`, by what the batch's messages have become
    LOOKUP = "look-up"


F = FactSource
PROVIDER = (F.ANSWER, F.PUSH, F.POLL, F.LOOKUP)

#: A decision is made only about a message that is in no call, and never proves anything at the provider. UNKNOWN
#: becomes QUEUED when it is absent at the provider and the gateway allows sending it again. A provider says UNCONFIRMED
#: of what the operator took and never reported. REFUSAL says nothing of a message that was not taken. Two corrections
#: leave a closed state: only a proven delivery corrects `undelivered`, and any proof of acceptance corrects
#: `unconfirmed`.
MESSAGE: Machine[MessageStatus, FactSource] = Machine(
    {
        M.QUEUED: {
            M.SENT: PROVIDER,
            M.DELIVERED: PROVIDER,
            M.UNDELIVERED: PROVIDER,
            M.UNCONFIRMED: PROVIDER,
            M.REJECTED: PROVIDER,
            M.UNKNOWN: (F.ANSWER, F.DEADLINE),  # no answer, or an answer that does not name it
            M.FAILED: (F.DECISION,),
            M.EXPIRED: (F.DECISION,),
            M.CANCELLED: (F.DECISION,),
            M.SUPPRESSED: (F.DECISION,),
        },
        M.UNKNOWN: {
            M.SENT: PROVIDER,
            M.DELIVERED: PROVIDER,
            M.UNDELIVERED: PROVIDER,
            M.REJECTED: PROVIDER,
            M.QUEUED: (F.DECISION,),
            M.UNCONFIRMED: (*PROVIDER, F.DEADLINE),
        },
        M.SENT: {
            M.DELIVERED: PROVIDER,
            M.UNDELIVERED: (*PROVIDER, F.REFUSAL),
            M.UNCONFIRMED: (*PROVIDER, F.DEADLINE),
        },
        M.UNCONFIRMED: {
            M.SENT: PROVIDER,
            M.DELIVERED: PROVIDER,
            M.UNDELIVERED: (*PROVIDER, F.REFUSAL),
            M.REJECTED: PROVIDER,
        },
        M.UNDELIVERED: {M.DELIVERED: PROVIDER},
    }
)

A, B = AttemptState, BatchState

ATTEMPT: Machine[AttemptState, Actor] = Machine(
    {
        A.OPEN: {
            A.ANSWERED: (Actor.WORKER,),
            A.NOT_SENT: (Actor.WORKER,),
            A.UNKNOWN: (Actor.WORKER, Actor.SWEEP),
        },
        A.UNKNOWN: {A.RESOLVED: (Actor.LOOKUP,)},
    }
)

BATCH: Machine[BatchState, Actor] = Machine(
    {
        B.DEFERRED: {B.READY: (Actor.SWEEP,), B.UNKNOWN: (Actor.TALLY,), B.DONE: (Actor.TALLY,)},
        B.READY: {
            B.LEASED: (Actor.WORKER,),
            B.DEFERRED: (Actor.SWEEP,),
            B.UNKNOWN: (Actor.TALLY,),
            B.DONE: (Actor.TALLY,),
        },
        B.LEASED: dict.fromkeys(RESTING, (Actor.WORKER, Actor.SWEEP)),
        B.UNKNOWN: {B.READY: (Actor.TALLY,), B.DONE: (Actor.TALLY,)},
    }
)

#: Everything that has states.
MACHINES = {"message": MESSAGE, "attempt": ATTEMPT, "batch": BATCH, "campaign": CAMPAIGN}
