"""Step 4, record: the outcome of calls. Whatever is not certain becomes `unknown` and is looked up, never resent."""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from campaigns.transitions import pause_for_gateway
from messaging.choices import ACCEPTED, ATTEMPT, Actor, AttemptState, FactSource, MessageStatus, Reason
from messaging.gateways.base import GatewayError, NotBegun, NotSent, Refused, Report, SubmitAnswer
from messaging.ids import MAX_IN_BATCH
from messaging.models import Attempt, Batch
from messaging.outcomes import provider_ids, provider_opt_outs, settlement
from messaging.outcomes.late_refusals import ACCOUNT_REFUSED
from messaging.outcomes.settlement import Fact
from messaging.routing import throttle
from messaging.routing.failover import next_choice
from messaging.routing.router import Choice
from messaging.sending import refusals
from messaging.sending.leases import give_up, lock
from messaging.sending.submit import Call, Result
from messaging.storage import message_rows
from smsapp.core import clock
from smsapp.core.isolation import run_batched, run_isolated
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

MAX_RETRY_COUNT = 1000  # the backoff has reached its ceiling long before


def record_all(results: Sequence[Result]) -> None:
    """Record the outcomes of calls, answers together, since they share most of the work."""
    for result in results:
        report_to_throttle(result)
    answered = [result for result in results if result.answer is not None]
    if answered:
        run_batched(record_answers, answered, until=min(map(record_before, answered)))
    for result in results:
        if result.answer is None:
            run_isolated(record, result, until=record_before(result))


def record(result: Result) -> None:
    """Record the outcome of one call."""
    call, error = result.call, result.error
    if result.answer is not None:
        record_answers([result])
    elif isinstance(error, Refused) and error.is_account:
        _record_account_refused(call, error)
    elif isinstance(error, Refused):
        _record_refused(call, error)
    elif isinstance(error, NotSent):
        _record_not_sent(call, error, _backoff(call.batch.retry_count, error.retry_after))
    elif error is not None:
        _record_unknown(call, error)


def record_answers(results: Sequence[Result]) -> list[Result]:
    """Record answers message by message, by id and never by position.

    Messages an answer does not name are unknown; a refusal of our account applies to no message. A campaign whose
    answers keep accepting nothing is paused.
    """
    now = clock.now()
    facts: list[Fact] = []
    accepted: list[int] = []
    complete: dict[int, list[Call]] = defaultdict(list)  # by HTTP status
    with transaction.atomic():
        lock([result.call.batch for result in results])
        for result in results:
            call, answer = result.call, result.answer
            assert answer is not None
            facts += settlement.facts_from(answer.reports, FactSource.ANSWER)[0]
            taken, unnamed = _by_id(call, answer)
            accepted += taken
            provider_ids.keep(call.gateway.name, answer.provider_ids)
            if missing := _still_queued(unnamed):
                detail = f"{len(missing)} messages are missing in the answer."
                if _finish_attempts([call], AttemptState.UNKNOWN, now, answer.http_status, detail):
                    facts += _unknown_facts(missing)
            else:
                complete[answer.http_status].append(call)
        for http_status, calls in complete.items():
            _finish_attempts(calls, AttemptState.ANSWERED, now, http_status)
        settlement.apply(facts, accepted, at=now)
        provider_opt_outs.apply([report for result in results if result.answer for report in result.answer.reports])
        _plan_report_checks(results, now)
        _give_back(results, now)
        too_many = [refusal for result in results if (refusal := _refusal_in(result))]
    for result in results:
        _apply_refusal(result)
    for refusal in too_many:
        refusals.pause(refusal)
    return list(results)


def _refusal_in(result: Result) -> refusals.Refusal | None:
    answer = result.answer
    return refusals.count(result.call, answer.reports) if answer and answer.reports and not answer.accepted else None


def _by_id(call: Call, answer: SubmitAnswer) -> tuple[list[int], list[int]]:
    """Return the keys of the call's accepted messages, and of those that the answer does not name."""
    accepted, named = set(answer.accepted), {report.message_id for report in answer.reports} | set(answer.not_sent)
    message_pks = list(zip(call.message_pks, (message.message_id for message in call.submission.messages), strict=True))
    return (
        [message_pk for message_pk, message_id in message_pks if message_id in accepted],
        [
            message_pk
            for message_pk, message_id in message_pks
            if message_id not in accepted and message_id not in named
        ],
    )


def _give_back(results: Sequence[Result], now: datetime) -> None:
    """Give up the lease of an answered call; the next call may be twice as large again.

    Messages that were not sent wait as those of a call that was not sent.
    """
    sizes: dict[int, list[Batch]] = defaultdict(list)
    for result in results:
        if (not_sent_error := result.not_sent_error) is not None:
            batch = result.call.batch
            wait = timedelta(seconds=_backoff(batch.retry_count, not_sent_error.retry_after))
            give_up([batch], now, next_attempt_at=now + wait, **_tried_again(result.call, not_sent_error))
            continue
        sizes[min(MAX_IN_BATCH, result.call.batch.call_size * 2)].append(result.call.batch)
    for call_size, batches in sizes.items():
        give_up(batches, now, retry_count=0, call_size=call_size)


def _apply_refusal(result: Result) -> None:
    reports = result.answer.reports if result.answer else ()
    refusal = next((report for report in reports if report.account_refused), None)
    not_sent_error = result.not_sent_error
    if refusal is not None:
        detail = Sentence(ACCOUNT_REFUSED, status=refusal.provider_status)
        pause_for_gateway(result.call.batch.campaign_id, detail)
    elif (
        isinstance(not_sent_error, Refused)
        and not_sent_error.is_account
        and not _other_route(result.call, not_sent_error)
    ):
        verdicts = result.answer.verdicts.values() if result.answer else ()
        took_some = any(verdict.status in ACCEPTED for verdict in verdicts)
        if not took_some and refusals.is_lasting(result.call, not_sent_error.detail):
            pause_for_gateway(result.call.batch.campaign_id, not_sent_error.detail)


def _still_queued(message_pks: Sequence[int]) -> list[int]:
    """Return the messages that no report has moved: a report may be quicker than the answer."""
    stored = message_rows.read_messages(message_pks)
    return [
        message_pk
        for message_pk in message_pks
        if message_pk in stored and stored[message_pk].status == MessageStatus.QUEUED
    ]


def _plan_report_checks(results: Sequence[Result], now: datetime) -> None:
    """Set when missing reports are looked up.

    That is soon where the provider knew a message already: only its log can tell which of our earlier calls it
    accepted.
    """
    usual = now + timedelta(seconds=settings.REPORT_CHECK_AFTER)
    later = Q(report_check_at=None) | Q(report_check_at__gt=usual)
    batches = Batch.objects.filter(sent__gt=0)
    repeated = [result.call for result in results if _is_repeated(result)]
    others = [result.call.batch.pk for result in results if not _is_repeated(result)]
    if others:
        batches.filter(later, pk__in=others).update(report_check_at=usual)
    for call in repeated:
        soon = now + timedelta(seconds=call.gateway.policy.lookup_grace)
        batches.filter(pk=call.batch.pk).update(report_check_at=soon)


def _is_repeated(result: Result) -> bool:
    return result.answer is not None and any(report.is_repeated for report in result.answer.reports)


def _record_not_sent(call: Call, error: NotSent, wait_seconds: float) -> bool:
    """Return whether another gateway takes over, which need not wait."""
    now = clock.now()
    route = _other_route(call, error)
    with transaction.atomic():
        lock([call.batch])
        _finish_attempts([call], AttemptState.NOT_SENT, now, error.http_status, error.detail)
        wait = 0.0 if route else wait_seconds
        give_up([call.batch], now, next_attempt_at=now + timedelta(seconds=wait), **_tried_again(call, error, route))
    logger.info("attempt %s was not sent: %s", call.attempt.reference, error.detail)
    return route is not None


def _record_account_refused(call: Call, error: Refused) -> None:
    """Try the call again if others succeed, else pause its campaign. No message is to blame."""
    is_lasting = refusals.is_lasting(call, error.detail)
    wait = 0.0 if is_lasting else _backoff(call.batch.retry_count, None)
    if _record_not_sent(call, error, wait) or not is_lasting:
        return
    if pause_for_gateway(call.batch.campaign_id, error.detail):
        logger.warning("campaign %s paused: %s", call.batch.campaign_id, error.detail)


def _other_route(call: Call, error: NotSent) -> Choice | None:
    """Return the next gateway. A gateway that throttles, or a call that did not begin, is no reason to change it."""
    if error.throttled or isinstance(error, NotBegun):
        return None
    return next_choice(call.batch, call.gateway.name, f"did not take it: {error.detail}")


def _tried_again(call: Call, error: NotSent, route: Choice | None = None) -> dict[str, object]:
    """Return the new values of a batch with messages that were not sent."""
    if route := route or _other_route(call, error):
        return {"gateway": route.gateway, "route_note": route.note, "was_moved": True, "retry_count": 0}
    return {"retry_count": min(call.batch.retry_count + 1, MAX_RETRY_COUNT)}


def _record_refused(call: Call, error: Refused) -> None:
    """Record a refusal of the whole request.

    A message alone in its request is to blame. Otherwise halve the call, so that one bad row never takes its neighbours
    with it.
    """
    count = call.attempt.message_count
    now, too_many = clock.now(), None
    with transaction.atomic():
        lock([call.batch])
        is_open = _finish_attempts([call], AttemptState.NOT_SENT, now, error.http_status, error.detail)
        if is_open and count == 1:
            report = Report(
                call.submission.messages[0].message_id,
                MessageStatus.REJECTED,
                Reason.PROVIDER_REFUSED,
                provider_status=f"HTTP {error.http_status}",
                error_description=error.detail[:200],
            )
            settlement.apply(settlement.facts_from([report], FactSource.ANSWER)[0])
            too_many = refusals.count(call, [report])
        give_up([call.batch], now, next_attempt_at=now, call_size=max(1, count // 2))
    if too_many:
        refusals.pause(too_many)


def _record_unknown(call: Call, error: GatewayError) -> None:
    now = clock.now()
    with transaction.atomic():
        lock([call.batch])
        if _finish_attempts([call], AttemptState.UNKNOWN, now, error.http_status, error.detail):
            queued = message_rows.read_message_pks(call.attempt.first, call.attempt.last, MessageStatus.QUEUED)
            settlement.apply(_unknown_facts(queued))
        give_up([call.batch], now, retry_count=0)
    logger.warning("attempt %s has an unknown outcome: %s", call.attempt.reference, error.detail)


def _unknown_facts(message_pks: Sequence[int]) -> list[Fact]:
    return [
        Fact(message_pk, MessageStatus.UNKNOWN, FactSource.ANSWER, Reason.ANSWER_LOST) for message_pk in message_pks
    ]


def _finish_attempts(
    calls: Sequence[Call], state: AttemptState, now: datetime, http_status: int | None, detail: str = ""
) -> bool:
    """Finish attempts. Return False if the sweep has given them up meanwhile.

    Look-ups settle them then, and only what the provider itself says about a message may still be recorded: its rows
    may be in a later call already.
    """
    grace = timedelta(seconds=calls[0].gateway.policy.lookup_grace)
    sources = ATTEMPT.sources(state, Actor.WORKER)
    attempts = Attempt.objects.filter(pk__in=[call.attempt.pk for call in calls], state__in=sources)
    finished = attempts.update(
        state=state,
        finished_at=now,
        http_status=http_status,
        detail=detail[:300],
        next_lookup_at=now + grace if state == AttemptState.UNKNOWN else None,
    )
    return finished > 0


def _backoff(retry_count: int, retry_after: float | None) -> float:
    """Return the seconds until the next try: what the provider asked for, else doubling with full jitter."""
    if retry_after is not None:
        return float(min(max(retry_after, 0.1), settings.RETRY_BACKOFF_MAX))
    ceiling = float(min(settings.RETRY_BACKOFF_MAX, settings.RETRY_BACKOFF * 2 ** min(retry_count, 16)))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311  (jitter, not a secret)


def record_before(result: Result) -> float:
    """Return the end of the call's lease (monotonic seconds).

    Until then nobody else may settle the call, so its answer outlives an outage of the database.
    """
    return float(result.call.submission.begin_before + settings.GATEWAY_TIMEOUT + settings.LEASE_MARGIN)


def report_to_throttle(result: Result) -> None:
    """Report the outcome to the gateway's throttle. Unsent messages do not count for account and sender rates."""
    error = result.error or result.not_sent_error
    retry_after = error.retry_after if isinstance(error, NotSent) else None
    throttle.report_outcome(result.call.gateway.name, result.call.grant, result.outcome, retry_after)
    for name in result.call.grant.own:
        throttle.give_back(name, result.not_sent)
