"""One call as a request for each of its messages, all at the same time: for providers of one recipient a request.

To the pipeline it stays one attempt, with one outcome for each message. So as many messages are in doubt after a crash
as requests were in flight, which is the same as with an attempt for each.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from messaging.choices import MessageStatus, Reason
from messaging.gateways.base import (
    GatewayError,
    NotBegun,
    NotSent,
    OutgoingMessage,
    Refused,
    Report,
    SubmitAnswer,
    Unknown,
)


def submit_each(messages: Sequence[OutgoingMessage], send: Callable[[OutgoingMessage], SubmitAnswer]) -> SubmitAnswer:
    """Return the answers of all. `send` submits one, and raises what a gateway's `submit` raises.

    Raises the error that all have in common: NotSent if the provider has none of them, Unknown if none is certain.
    """
    with ThreadPoolExecutor(len(messages)) as threads:
        outcomes = list(threads.map(lambda message: _outcome(send, message), messages))
    answers = [outcome for outcome in outcomes if isinstance(outcome, SubmitAnswer)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, GatewayError)]
    not_sent_error = _worst([error for error in errors if isinstance(error, NotSent)])
    if not answers and errors:
        unknown = [error for error in errors if isinstance(error, Unknown)]
        if not_sent_error is None:
            raise unknown[0]
        if not unknown:
            raise not_sent_error
    return SubmitAnswer(
        http_status=answers[0].http_status if answers else errors[0].http_status or 0,
        reports=[report for answer in answers for report in answer.reports],
        accepted=[message_id for answer in answers for message_id in answer.accepted],
        not_sent=[m.message_id for m, outcome in zip(messages, outcomes, strict=True) if isinstance(outcome, NotSent)],
        not_sent_error=not_sent_error,
        provider_ids={ours: theirs for answer in answers for ours, theirs in answer.provider_ids.items()},
    )


def _outcome(send: Callable[[OutgoingMessage], SubmitAnswer], message: OutgoingMessage) -> SubmitAnswer | GatewayError:
    try:
        return send(message)
    except Refused as error:
        if error.is_account:
            return error
        report = Report(
            message.message_id,
            MessageStatus.REJECTED,
            Reason.PROVIDER_REFUSED,
            provider_status=f"HTTP {error.http_status}",
            error_description=error.detail[:200],
        )
        return SubmitAnswer(error.http_status or 0, reports=[report])
    except GatewayError as error:
        return error


def _worst(errors: Sequence[NotSent]) -> NotSent | None:
    """Return the error that concerns most of the rest: our account, then our speed, then a single call.

    A call that was not begun says nothing.
    """
    account = [error for error in errors if isinstance(error, Refused) and error.is_account]
    throttled = [error for error in errors if error.throttled]
    tried = [error for error in errors if not isinstance(error, NotBegun)]
    return next(iter([*account, *throttled, *tried, *errors]), None)
