"""Batches leave for the gateway. Read top to bottom:

1. lease    ready batches, by one conditional update: owner, epoch + 1, deadline
2. open     an attempt, committed before the call: the campaign runs, the epoch is ours, opt-outs and validity
            are checked, the texts are rendered
3. call     the gateway, outside any transaction, several calls in flight (threads without a database)
4. record   what came of it; whatever is not certain becomes `unknown` and is looked up, never sent again blindly

Killed between any two lines, the sweep finds the batch by its lease and the attempt it left open.
"""

import logging
import os
import random
import socket
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from accounts.choices import Mode
from campaigns.models import Campaign
from campaigns.services import pause_for_gateway
from messaging import bulk, clock, gateways, pacing, restored, settlement
from messaging.bulk import QueuedMessage
from messaging.choices import ATTEMPT, BATCH, Actor, AttemptState, BatchState, FactSource, Lane, MessageStatus, Reason
from messaging.gateways.base import (
    Gateway,
    GatewayError,
    NotSent,
    OutgoingMessage,
    Refused,
    Report,
    Submission,
    SubmitAnswer,
    Unknown,
)
from messaging.identity import MAX_IN_BATCH, batch_range, installation_prefix, public_id
from messaging.inbox import report_url
from messaging.models import Attempt, Batch
from messaging.pace import Grant
from messaging.settlement import Fact
from messaging.texts import renderer_for
from smsapp.apart import apart
from smsapp.wake import wake
from uploads.suppressions import suppressed_among

logger = logging.getLogger(__name__)

SHORT_WAIT = 1.0  # seconds a worker waits itself for the gateway's pace; for longer it ends, and beat wakes it again
MAX_RETRY_COUNT = 1000  # the backoff has long reached its ceiling by then


class NotBegun(NotSent):
    """We made no call, so it says nothing of the gateway."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may begin: its attempt is committed, and the gateway's pace has room for it."""

    grant: Grant
    attempt: Attempt
    batch: Batch
    gateway: Gateway
    submission: Submission
    numbers: Sequence[int]  # of the submission's messages, in the same order


@dataclass(frozen=True, slots=True)
class Result:
    call: Call
    answer: SubmitAnswer | None = None
    error: GatewayError | None = None

    @property
    def outcome(self) -> pacing.Outcome:
        return pacing.Outcome.UNUSED if isinstance(self.error, NotBegun) else pacing.outcome_of(self.error)


def dispatch_ready(lane: Lane, budget: float | None = None) -> int:
    """Send ready batches of a lane until none is left or `budget` seconds are over; how many calls were made."""
    stop_at = time.monotonic() + (settings.TASK_BUDGET if budget is None else budget)
    in_flight: set[Future[Result]] = set()
    has_suspect = False
    calls = 0
    with ThreadPoolExecutor(settings.GATEWAY_CALLS_IN_FLIGHT) as threads:
        while True:
            has_suspect = has_suspect and bool(in_flight)
            room = 0 if has_suspect else settings.GATEWAY_CALLS_IN_FLIGHT - len(in_flight)
            time_left = time.monotonic() < stop_at
            modes, closed_for = open_modes(lane)
            lease_some = partial(lease_allowed, lane, modes, with_suspects=not in_flight)
            leased = apart(lease_some, room) if room and time_left and modes else None
            has_suspect = has_suspect or any(batch.lease_count for batch in leased or ())
            for call in filter(None, (apart(open_attempt, batch) for batch in leased or ())):
                in_flight.add(threads.submit(make_call, call))
                calls += 1
            if in_flight:
                finished, in_flight = wait(in_flight, timeout=1, return_when=FIRST_COMPLETED)
                for future in finished:
                    tell_pace(future.result())
                    apart(record, future.result(), until=record_before(future.result()))
            elif not leased and 0 < closed_for <= SHORT_WAIT and time_left:
                time.sleep(closed_for)
            elif not leased:
                break
    if not time_left:
        wake(f"messaging.dispatch_{lane.name.lower()}")
    return calls


def lease_allowed(lane: Lane, modes: Sequence[Mode], limit: int, *, with_suspects: bool) -> list[Batch]:
    """`lease`, unless the installation is held."""
    return lease(lane, limit, modes, with_suspects=with_suspects) if restored.may_send() else []


def record_before(result: Result) -> float:
    """The end of its lease (monotonic seconds): until then nobody else may settle the call, so an answer is kept
    through an outage of the database."""
    return float(result.call.submission.begin_before + settings.GATEWAY_TIMEOUT + settings.LEASE_MARGIN)


def open_modes(lane: Lane) -> tuple[list[Mode], float]:
    """The modes whose gateway may be called now, and the seconds until one of the others may, 0 if there is none."""
    wanted = 1 if lane is Lane.SINGLES else MAX_IN_BATCH
    looks = {mode: pacing.may_call(gateways.gateway_for(mode).name, wanted) for mode in Mode}
    waits = [look.wait for look in looks.values() if not look]
    return [mode for mode, look in looks.items() if look], min(waits, default=0.0)


def tell_pace(result: Result) -> None:
    """What this call says of the gateway, for all who call it."""
    retry_after = result.error.retry_after if isinstance(result.error, NotSent) else None
    pacing.tell(result.call.gateway.name, result.call.grant, result.outcome, retry_after)


# --- 1. lease ---------------------------------------------------------------------------------------------


def lease(lane: Lane, limit: int, modes: Sequence[Mode] = tuple(Mode), *, with_suspects: bool = True) -> list[Batch]:
    """Take up to `limit` ready batches of these modes. Their epoch is ours alone until `lease_until`.

    A batch whose last lease ended without a result is taken alone: should it be the one that kills its worker,
    no other batch is counted as doing so with it.
    """
    now = clock.now()
    with transaction.atomic():
        ready = Batch.objects.to_lease(lane, now).filter(mode__in=modes)
        if not with_suspects:
            ready = ready.filter(lease_count=0)
        ready = ready.select_for_update(skip_locked=True, of=("self",))
        batches = list(ready.select_related("campaign__audience", "campaign__account")[:limit])
        suspects = [batch for batch in batches if batch.lease_count]
        batches = suspects[:1] or batches
        for batch in batches:
            batch.state = BatchState.LEASED
            batch.lease_owner = _worker_name()
            batch.lease_epoch += 1
            batch.lease_until = now + timedelta(seconds=settings.LEASE_SECONDS)
        ours = Batch.objects.filter(pk__in=[batch.pk for batch in batches])
        ours.filter(state__in=BATCH.sources(BatchState.LEASED, Actor.WORKER)).update(
            state=BatchState.LEASED,
            lease_owner=_worker_name(),
            lease_epoch=F("lease_epoch") + 1,
            lease_count=F("lease_count") + 1,
            lease_until=now + timedelta(seconds=settings.LEASE_SECONDS),
        )
    return batches


def lease_end(batch: Batch) -> datetime:
    assert batch.lease_until is not None
    return batch.lease_until


def _worker_name() -> str:
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


# --- 2. open an attempt -----------------------------------------------------------------------------------


def open_attempt(batch: Batch) -> Call | None:
    """Commit the attempt for the next slice of a leased batch, as large as the gateway's pace allows; None, and the
    batch given back, if there is none."""
    gateway = gateways.gateway_for(Mode(batch.mode))
    grant = pacing.take(gateway.name, min(batch.call_size, gateway.policy.max_batch, max(1, batch.queued)))
    call = None
    try:
        if grant:
            call = _open(batch, gateway, grant)
        else:
            _put_off(batch, grant)
    finally:
        if call is None:
            pacing.tell(gateway.name, grant, pacing.Outcome.UNUSED)
    return call


def _put_off(batch: Batch, grant: Grant) -> None:
    """Until the gateway may be called again. No try is used up."""
    with transaction.atomic():
        _lock(batch)
        now = clock.now()
        _release(batch, now, next_attempt_at=now + timedelta(seconds=grant.wait))


def _open(batch: Batch, gateway: Gateway, grant: Grant) -> Call | None:
    """The monotonic clock is read before the database's, so that the time left is never overestimated."""
    started = time.monotonic()
    with transaction.atomic():
        may_send = bulk.share_running(batch.campaign_id)
        now = clock.now()
        if not _still_ours(batch, now):
            return None
        if not may_send:
            _release(batch, now)
            return None
        earlier = list(Attempt.objects.filter(batch_id=batch.pk).values_list("pk", "state", "epoch"))
        _close_unused(batch, earlier, now)
        rows = _sendable(batch, batch.campaign, now, grant.granted)
        if not rows:
            _release(batch, now)
            return None
        messages = _render(batch.campaign, rows)
        attempt = _new_attempt(batch, gateway, rows, len(earlier) + 1, now)
        if not batch.gateway:
            Batch.objects.filter(pk=batch.pk).update(gateway=gateway.name)
    time_left = (lease_end(batch) - now).total_seconds() - settings.GATEWAY_TIMEOUT - settings.LEASE_MARGIN
    submission = Submission(
        reference=attempt.reference,
        messages=messages,
        sender=batch.campaign.sender_id,
        report_url=report_url(gateway.name),
        validity=_seconds_until(batch.campaign.valid_until, now),
        begin_before=started + time_left,
    )
    return Call(grant, attempt, batch, gateway, submission, [row.id for row in rows])


def _still_ours(batch: Batch, now: datetime) -> bool:
    """Lock the batch and see whether its lease is the one we took."""
    mine = Batch.objects.filter(
        pk=batch.pk, state=BatchState.LEASED, lease_epoch=batch.lease_epoch, lease_until__gt=now
    ).select_for_update()
    return bool(mine.values_list("pk"))


def _close_unused(batch: Batch, earlier: Sequence[tuple[int, str, int]], now: datetime) -> None:
    """An attempt of this very lease that is open was committed, and we were not told so: no call was made of it."""
    sources = ATTEMPT.sources(AttemptState.NOT_SENT, Actor.WORKER)
    unused = [pk for pk, state, epoch in earlier if epoch == batch.lease_epoch and state in sources]
    if unused:
        closed = Attempt.objects.filter(pk__in=unused, state__in=sources)
        closed.update(state=AttemptState.NOT_SENT, finished_at=now, detail="It was committed twice; no call was made.")


def _sendable(batch: Batch, campaign: Campaign, now: datetime, limit: int) -> list[QueuedMessage]:
    """Up to `limit` of the batch's queued rows; those that may not leave any more are closed here."""
    if campaign.valid_until is not None and campaign.valid_until <= now:
        late = bulk.read_numbers(*batch_range(batch.pk), MessageStatus.QUEUED)
        settlement.control(late, MessageStatus.EXPIRED, Reason.TOO_LATE)
        return []
    rows = bulk.read_queued(*batch_range(batch.pk), limit)
    opted_out = suppressed_among(campaign.account, [row.phone_number for row in rows])
    if opted_out:
        stopped = [row.id for row in rows if row.phone_number in opted_out]
        settlement.control(stopped, MessageStatus.SUPPRESSED, Reason.OPTED_OUT)
        rows = [row for row in rows if row.phone_number not in opted_out]
    return rows


def _render(campaign: Campaign, rows: Sequence[QueuedMessage]) -> list[OutgoingMessage]:
    render = renderer_for(campaign)
    return [OutgoingMessage(public_id(row.id), row.phone_number, render(row.variables)) for row in rows]


def _new_attempt(batch: Batch, gateway: Gateway, rows: Sequence[QueuedMessage], number: int, now: datetime) -> Attempt:
    return Attempt.objects.create(
        batch=batch,
        gateway=gateway.name,
        reference=f"{installation_prefix()}-{batch.pk}-{number}",
        epoch=batch.lease_epoch,
        first=rows[0].id,
        last=rows[-1].id,
        message_count=len(rows),
        started_at=now,
        deadline=lease_end(batch),
    )


def _seconds_until(moment: datetime | None, now: datetime) -> int | None:
    return max(60, int((moment - now).total_seconds())) if moment else None


# --- 3. call ----------------------------------------------------------------------------------------------


def make_call(call: Call) -> Result:
    """In a thread of its own, without the database."""
    if time.monotonic() >= call.submission.begin_before:
        return Result(call, error=NotBegun("The lease was too nearly over to begin the call."))
    try:
        return Result(call, answer=call.gateway.submit(call.submission))
    except GatewayError as error:
        return Result(call, error=error)
    except Exception:
        # A defect of ours after the first byte may have left the messages with the provider.
        logger.exception("call %s broke", call.attempt.reference)
        return Result(call, error=Unknown("The call broke off inside this application."))


# --- 4. record --------------------------------------------------------------------------------------------


def record(result: Result) -> None:
    """Write down what came of a call."""
    call, error = result.call, result.error
    if result.answer is not None:
        _record_answer(call, result.answer)
    elif isinstance(error, Refused) and error.is_account:
        _record_not_sent(call, error, wait_seconds=0)
        if pause_for_gateway(call.batch.campaign_id, error.detail):
            logger.warning("campaign %s paused: %s", call.batch.campaign_id, error.detail)
    elif isinstance(error, Refused):
        _record_refused(call, error)
    elif isinstance(error, NotSent):
        _record_not_sent(call, error, _backoff(call.batch.retry_count, error.retry_after))
    elif error is not None:
        _record_unknown(call, error)


def _record_answer(call: Call, answer: SubmitAnswer) -> None:
    """By id, never by position. Ids the answer does not name are unknown; an account's refusal is no message's."""
    refusal = next((report for report in answer.reports if report.account_refused), None)
    facts, _ = settlement.facts_from(answer.reports, FactSource.ANSWER)
    repeated = any(report.is_repeated for report in answer.reports)
    now = clock.now()
    with transaction.atomic():
        _lock(call.batch)
        accepted, unnamed = _by_id(call, answer)
        missing = _still_queued(unnamed)
        detail = f"{len(missing)} messages are missing in the answer." if missing else ""
        state = AttemptState.UNKNOWN if missing else AttemptState.ANSWERED
        if _finish_attempt(call, state, now, answer.http_status, detail):
            facts += _unknown_facts(missing)
        settlement.apply(facts, accepted, at=now)
        _plan_report_check(call, now, soon=repeated)
        _release(call.batch, now, retry_count=0, call_size=min(MAX_IN_BATCH, call.batch.call_size * 2))
    if refusal is not None:
        pause_for_gateway(call.batch.campaign_id, f"The gateway refuses our account: {refusal.provider_status}")


def _by_id(call: Call, answer: SubmitAnswer) -> tuple[list[int], list[int]]:
    """Numbers of the call's messages that were accepted, and of those that the answer does not name."""
    accepted, named = set(answer.accepted), {report.message_id for report in answer.reports}
    numbers = list(zip(call.numbers, (message.message_id for message in call.submission.messages), strict=True))
    return (
        [number for number, message_id in numbers if message_id in accepted],
        [number for number, message_id in numbers if message_id not in accepted and message_id not in named],
    )


def _still_queued(numbers: Sequence[int]) -> list[int]:
    """A message may have been moved by a report that was quicker than the answer."""
    stored = bulk.read_messages(numbers)
    return [number for number in numbers if number in stored and stored[number].status == MessageStatus.QUEUED]


def _plan_report_check(call: Call, now: datetime, *, soon: bool) -> None:
    """When reports that have not come by then are looked up. Soon where the provider knew a message already: which
    of our earlier calls it took, only its log can confirm."""
    wait = call.gateway.policy.lookup_grace if soon else settings.REPORT_CHECK_AFTER
    at = now + timedelta(seconds=wait)
    batches = Batch.objects.filter(pk=call.batch.pk, sent__gt=0)
    if not soon:
        batches = batches.filter(Q(report_check_at=None) | Q(report_check_at__gt=at))
    batches.update(report_check_at=at)


def _record_not_sent(call: Call, error: NotSent, wait_seconds: float) -> None:
    now = clock.now()
    with transaction.atomic():
        _lock(call.batch)
        _finish_attempt(call, AttemptState.NOT_SENT, now, error.http_status, error.detail)
        _release(
            call.batch, now, next_attempt_at=now + timedelta(seconds=wait_seconds),
            retry_count=min(call.batch.retry_count + 1, MAX_RETRY_COUNT),
        )  # fmt: skip
    logger.info("attempt %s was not sent: %s", call.attempt.reference, error.detail)


def _record_refused(call: Call, error: Refused) -> None:
    """The request as a whole was refused. One message alone is to blame when one message was in it; else halve
    the call, so that a single bad row never takes its neighbours with it."""
    count = call.attempt.message_count
    now = clock.now()
    with transaction.atomic():
        _lock(call.batch)
        is_open = _finish_attempt(call, AttemptState.NOT_SENT, now, error.http_status, error.detail)
        if is_open and count == 1:
            report = Report(
                call.submission.messages[0].message_id, MessageStatus.REJECTED, Reason.PROVIDER_REFUSED,
                provider_status=f"HTTP {error.http_status}", error_description=error.detail[:200],
            )  # fmt: skip
            settlement.apply(settlement.facts_from([report], FactSource.ANSWER)[0])
        _release(call.batch, now, next_attempt_at=now, call_size=max(1, count // 2))


def _record_unknown(call: Call, error: GatewayError) -> None:
    now = clock.now()
    with transaction.atomic():
        _lock(call.batch)
        if _finish_attempt(call, AttemptState.UNKNOWN, now, error.http_status, error.detail):
            queued = bulk.read_numbers(call.attempt.first, call.attempt.last, MessageStatus.QUEUED)
            settlement.apply(_unknown_facts(queued))
        _release(call.batch, now, retry_count=0)
    logger.warning("attempt %s has an unknown outcome: %s", call.attempt.reference, error.detail)


def _unknown_facts(numbers: Sequence[int]) -> list[Fact]:
    return [Fact(number, MessageStatus.UNKNOWN, FactSource.ANSWER, Reason.ANSWER_LOST) for number in numbers]


def _lock(batch: Batch) -> None:
    Batch.objects.select_for_update().only("pk").get(pk=batch.pk)


def _finish_attempt(call: Call, state: AttemptState, now: datetime, http_status: int | None, detail: str) -> bool:
    """False if the sweep has given the attempt up meanwhile. It is settled by look-up then, and only what the
    provider itself says of a message may still be written: its rows may be in a later call already."""
    grace = timedelta(seconds=call.gateway.policy.lookup_grace)
    sources = ATTEMPT.sources(state, Actor.WORKER)
    finished = Attempt.objects.filter(pk=call.attempt.pk, state__in=sources).update(
        state=state,
        finished_at=now,
        http_status=http_status,
        detail=detail[:300],
        next_lookup_at=now + grace if state == AttemptState.UNKNOWN else None,
    )
    return finished == 1


def _release(batch: Batch, now: datetime, **values: object) -> None:
    """Give the batch back, if it is still ours; where to, its tally says."""
    current = Batch.objects.get(pk=batch.pk)
    to = settlement.resting_state(current)
    if current.lease_epoch != batch.lease_epoch or not BATCH.may(BatchState(current.state), to, Actor.WORKER):
        return
    current.state = to
    current.lease_owner, current.lease_until, current.lease_count = "", None, 0
    current.report_deadline = now + timedelta(hours=settings.REPORT_DEADLINE_HOURS)
    for name, value in values.items():
        setattr(current, name, value)
    current.save(update_fields=["state", "lease_owner", "lease_until", "lease_count", "report_deadline", *values])


def _backoff(retry_count: int, retry_after: float | None) -> float:
    """Seconds until the next try: what the provider asked for, else doubling with full jitter. No try is used up."""
    if retry_after is not None:
        return float(min(max(retry_after, 0.1), settings.RETRY_BACKOFF_MAX))
    ceiling = float(min(settings.RETRY_BACKOFF_MAX, settings.RETRY_BACKOFF * 2 ** min(retry_count, 16)))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311  (jitter, not a secret)
