"""States of message, batch and attempt: the one table that `apply` and every conditional update read."""

from django.db.models import IntegerChoices, TextChoices


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

#: Facts (answers, delivery reports, look-ups) only ever raise the rank.
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

#: What a fact may make of a message. Two corrections leave a closed state: only a proven delivery corrects
#: `undelivered`, and any proof of acceptance corrects `unconfirmed`.
FACT_MOVES: dict[MessageStatus, frozenset[MessageStatus]] = {
    M.QUEUED: frozenset({M.SENT, M.DELIVERED, M.UNDELIVERED, M.REJECTED, M.UNKNOWN}),
    M.UNKNOWN: frozenset({M.SENT, M.DELIVERED, M.UNDELIVERED, M.REJECTED, M.UNCONFIRMED}),
    M.SENT: frozenset({M.DELIVERED, M.UNDELIVERED, M.UNCONFIRMED}),
    M.UNCONFIRMED: frozenset({M.SENT, M.DELIVERED, M.UNDELIVERED, M.REJECTED}),
    M.UNDELIVERED: frozenset({M.DELIVERED}),
}

#: What we decide ourselves about a message that is in no call: never proof of anything at the provider.
CONTROL_MOVES: dict[MessageStatus, frozenset[MessageStatus]] = {
    M.QUEUED: frozenset({M.FAILED, M.EXPIRED, M.CANCELLED, M.SUPPRESSED}),
    M.UNKNOWN: frozenset({M.QUEUED}),  # absent at the provider, and the gateway allows sending it again
}

#: A refusal of our account that is reported after the message was taken. Before, it says nothing of the message.
LATE_REFUSAL_MOVES: dict[MessageStatus, frozenset[MessageStatus]] = {M.SENT: frozenset({M.UNDELIVERED})}

#: The provider has, or had, the message.
ACCEPTED = frozenset({M.SENT, M.DELIVERED, M.UNDELIVERED})
OPEN = frozenset({M.QUEUED, M.UNKNOWN, M.SENT})
NEVER_HANDED_OVER = frozenset({M.REJECTED, M.FAILED, M.EXPIRED, M.CANCELLED, M.SUPPRESSED})


class Reason(TextChoices):
    """Why a message ended as it did, in words for a customer. Provider codes stay in the delivery report."""

    NONE = "", "—"
    MISSING_VALUE = "missing_value", "A value for a placeholder is missing in the row"
    TEXT_TOO_LONG = "text_too_long", "With its values filled in, the text is longer than 1,600 characters"
    EMPTY_TEXT = "empty_text", "With its values filled in, the text is empty"
    OPTED_OUT = "opted_out", "The recipient has opted out"
    TOO_LATE = "too_late", "It could not be handed over before its validity ended"
    CANCELLED = "cancelled", "The campaign was cancelled"
    POISON = "poison", "Processing broke off repeatedly; an operator has to look at it"
    RECIPIENT_REFUSED = "recipient_refused", "The provider refuses this recipient"
    SENDER_REFUSED = "sender_refused", "The provider refuses this sender"
    CONTENT_REFUSED = "content_refused", "The provider or operator refuses this content"
    PROVIDER_REFUSED = "provider_refused", "The provider refused the message"
    UNREACHABLE = "unreachable", "The handset could not be reached in time"
    UNKNOWN_NUMBER = "unknown_number", "The number is not in service"
    NOT_DELIVERED = "not_delivered", "The operator could not deliver it"
    ANSWER_LOST = "answer_lost", "The provider's answer was lost; it is being looked up"
    NO_PROOF = "no_proof", "It is not known whether the provider took it; it was not sent again"
    NO_REPORT = "no_report", "The provider took it and never reported the outcome"


class BatchState(TextChoices):
    HELD = "held", "Held until its release time"
    READY = "ready", "Ready"
    LEASED = "leased", "A worker holds it"
    UNKNOWN = "unknown", "An outcome is being looked up"
    DONE = "done", "Nothing left to hand over"


#: States of a batch that nobody holds; which of them, its tally says.
RESTING = (BatchState.READY, BatchState.UNKNOWN, BatchState.DONE)


class AttemptState(TextChoices):
    OPEN = "open", "The call may be in flight"
    ANSWERED = "answered", "The provider answered"
    NOT_SENT = "not_sent", "Not sent, for certain"
    UNKNOWN = "unknown", "The outcome is unknown"
    RESOLVED = "resolved", "The unknown outcome was cleared up"


class Lane(IntegerChoices):
    """Which worker process sends a batch."""

    SINGLES = 0, "single sends"
    CAMPAIGNS = 1, "campaigns"


class FactSource(TextChoices):
    ANSWER = "answer", "Answer to our call"
    PUSH = "push", "Pushed delivery report"
    POLL = "poll", "Polled delivery report"
    LOOKUP = "lookup", "Look-up at the provider"
    DEADLINE = "deadline", "Deadline passed"
