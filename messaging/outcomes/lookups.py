"""Asking a provider what it knows about a call: how often, and what follows when it does not tell."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from messaging.choices import MessageStatus
from messaging.gateways import registry
from messaging.gateways.base import MAX_IDS, Gateway, Lookup, LookUpBy
from messaging.ids import parse_public_id, public_id
from messaging.models import Attempt
from messaging.outcomes import provider_ids
from messaging.routing import rotation
from messaging.storage import message_rows
from smsapp.core.budget import Budget

WOKEN_EVERY = 5.0  # seconds between two tasks
WAIT_AFTER_NO_ANSWER = 60.0  # seconds
LOOK_UPS, REPORT_CHECKS = PURPOSES = ("look-ups", "report checks")
LOOKED_THROUGH = 1000  # due rows of one gateway


class Allowance:
    """What one task may ask each provider, for whatever purpose.

    All tasks of this process leave a provider that does not tell alone for a while: it may hold whoever asks until the
    call times out.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """Start the share of a purpose. Each has its own, however long a hanging call delayed the purpose before."""
        self._budget = Budget(settings.TASK_BUDGET / len(PURPOSES))

    @property
    def is_over(self) -> bool:
        return self._budget.is_over

    def allows(self, gateway: str) -> bool:
        return not (self.is_over or is_left_alone(gateway)) and self.asked[gateway] < per_task(gateway)

    def look_up(self, attempts: Sequence[Attempt], status: MessageStatus) -> list[Lookup]:
        """Return what the provider knows of each call that `grouped` put together.

        For several calls, it is asked about their messages with that status. Inconclusive if the gateway is no longer
        configured: nobody is asked then, and nobody is left alone.
        """
        name = attempts[0].gateway
        self.asked[name] += 1
        try:
            gateway = registry.get(name)
        except (LookupError, ImproperlyConfigured) as error:
            return [Lookup(detail=str(error)) for _ in attempts]
        answer = look_up_together(gateway, attempts, status) if len(attempts) > 1 else look_up(gateway, attempts[0])
        if not answer.conclusive:
            leave_alone(name)
        return [answer_of(attempt, answer) for attempt in attempts] if len(attempts) > 1 else [answer]


def leave_alone(gateway: str) -> None:
    for purpose in PURPOSES:
        rotation.pause(purpose, gateway, wait_after_no_answer(gateway).total_seconds())


def is_left_alone(gateway: str) -> bool:
    return any(rotation.is_paused(purpose, gateway) for purpose in PURPOSES)


def per_task(gateway: str) -> int:
    """Return the look-ups of a gateway in one task, by what its provider allows in a minute."""
    return max(1, int(registry.policy_of(gateway).lookups_per_minute * WOKEN_EVERY / 60))


def look_up(gateway: Gateway, attempt: Attempt) -> Lookup:
    """What the provider knows of a call.

    One that knows its own ids only is asked about those that it answered with. That it says nothing of the others is no
    refusal to tell: it has been asked all that it can be.
    """
    match gateway.policy.look_up_by:
        case LookUpBy.OUR_ID:
            return gateway.look_up(attempt.reference)
        case LookUpBy.THEIR_ID if ids := provider_ids.of_attempt(attempt):
            answer = gateway.look_up_messages(ids)
            return replace(answer, reports=provider_ids.with_our_ids(attempt.gateway, answer.reports))
    return Lookup(conclusive=True)


def grouped(attempts: Iterable[Attempt]) -> Iterator[list[Attempt]]:
    """Group calls of one gateway whose messages fit in one question, in their order.

    Calls are asked about one by one where the provider knows none of our ids, or they are too large.
    """
    group: list[Attempt] = []
    size = 0
    for attempt in attempts:
        by_our_ids = registry.policy_of(attempt.gateway).look_up_by is LookUpBy.OUR_ID
        if not by_our_ids or attempt.message_count > MAX_IDS:
            yield [attempt]
            continue
        if size + attempt.message_count > MAX_IDS:
            yield group
            group, size = [], 0
        group.append(attempt)
        size += attempt.message_count
    if group:
        yield group


def look_up_together(gateway: Gateway, attempts: Sequence[Attempt], status: MessageStatus) -> Lookup:
    """Ask by one question about the messages of some calls that have that status.

    The answer also tells of other calls that carried one of the messages: `answer_of` leaves them out.
    """
    spans = [(attempt.first, attempt.last) for attempt in attempts]
    message_pks = sorted({message_pk for span in spans for message_pk in message_rows.read_message_pks(*span, status)})
    if not message_pks:
        return Lookup(conclusive=True)
    return gateway.look_up_messages([public_id(message_pk) for message_pk in message_pks])


def answer_of(attempt: Attempt, answer: Lookup) -> Lookup:
    """Return what an answer about several calls says of one of them.

    A refusal of an earlier call is no fact about a call that carried the same message later.
    """
    own = [report for report in answer.reports if report.reference in ("", attempt.reference)]
    spanned = [report for report in own if attempt.first <= (parse_public_id(report.message_id) or 0) <= attempt.last]
    return replace(answer, reports=spanned)


def wait_after_no_answer(gateway: str) -> timedelta:
    """Return how long to wait before asking a provider that did not tell about the same call again."""
    return timedelta(seconds=min(WAIT_AFTER_NO_ANSWER, 10 * registry.policy_of(gateway).lookup_grace))
