"""Step 3, submit: call the gateway outside any transaction, in threads without a database."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from messaging.gateways.base import Gateway, GatewayError, NotBegun, NotSent, Submission, SubmitAnswer, Unknown
from messaging.models import Attempt, Batch
from messaging.routing import throttle
from messaging.routing.throttle_state import Grant

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may begin: its attempt is committed, and the throttle has granted its messages."""

    grant: Grant
    attempt: Attempt
    batch: Batch
    gateway: Gateway
    submission: Submission
    message_pks: Sequence[int]  # keys of the submission's messages, in the same order


@dataclass(frozen=True, slots=True)
class Result:
    call: Call
    answer: SubmitAnswer | None = None
    error: GatewayError | None = None

    @property
    def not_sent_error(self) -> NotSent | None:
        """Return why some messages of an answered call were not sent."""
        return self.answer.not_sent_error if self.answer else None

    @property
    def not_sent(self) -> int:
        """Return how many of its messages the provider certainly does not have."""
        if isinstance(self.error, NotSent):
            return len(self.call.message_pks)
        return len(self.answer.not_sent) if self.answer else 0

    @property
    def outcome(self) -> throttle.Outcome:
        if self.answer is not None and isinstance(self.not_sent_error, NotBegun):
            is_answered = self.answer.accepted or self.answer.reports
            return throttle.Outcome.ANSWERED if is_answered else throttle.Outcome.LOST
        return throttle.outcome_of(self.error or self.not_sent_error)


def make_call(call: Call) -> Result:
    """Call the gateway, in a thread of its own without the database."""
    if time.monotonic() >= call.submission.begin_before:
        return Result(call, error=NotBegun("The lease was too nearly over to begin the call."))
    try:
        return Result(call, answer=call.gateway.submit(call.submission))
    except GatewayError as error:
        return Result(call, error=error)
    except Exception:
        # After a defect of ours behind the first byte the provider may have the messages.
        logger.exception("call %s broke", call.attempt.reference)
        return Result(call, error=Unknown("The call broke off inside this application."))
