"""Delivers the outbox: claim, call outside any transaction, record; until nothing is due.

An event reaches its endpoint at least once: a process that ends between call and record leaves a lease that runs out,
and the same event, with the same id, is sent again. Order is not promised.
"""

import logging
import os
import random
import socket
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from accounts.choices import EndpointKind, EventType, WebhookState
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.security import audit
from accounts.security.encryption import SecretUnreadable
from accounts.webhooks import signing, transport
from accounts.webhooks.claims import Claim, claim
from accounts.webhooks.endpoints import signing_secrets
from accounts.webhooks.outbox import TASK, emit
from accounts.webhooks.transport import Answer
from smsapp.core import clock
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_isolated
from smsapp.lib.sentences import Sentence, as_sentence

logger = logging.getLogger(__name__)

BUDGET = 30.0  # seconds in which one task claims; longer than a call, so that another begins before it ends
THREADS = 100  # nearly all of them only wait: 20 hanging endpoints hold 80
LOOKS_AGAIN = 0.2  # seconds between two looks for what is due while calls are under way

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
#: Waits between tries; the first is made at once.
DELAYS = (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
JITTER = 0.2  # share of a delay, up or down
GIVE_UP_AFTER = 76 * HOUR  # least time that an event is tried for, whatever the jitter
TELL_AFTER = 24 * HOUR  # of failures without a success until the account is notified
DISABLE_AFTER = 72 * HOUR
DISABLE_TRIES = 20  # tries, and no fewer, in that time
#: Answers of an overloaded or missing endpoint: it is left alone for a while at once.
OVERLOADED = (429, 502, 503, 504)
FAILURES_BEFORE_PAUSE = 4  # of any other kind
PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds; doubles with each failure


def deliver_due(seconds: float = BUDGET) -> int:
    """Deliver until nothing is due or the time is over, and what is under way has ended. Return the number of calls."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    budget, others_go_on = Budget(seconds), False
    calls = 0
    under_way: dict[Future[Answer], Claim] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
        while True:
            if not budget.is_over:
                hosts = Counter(one.host for one in under_way.values())
                for one in claim(owner, clock.about_now(), THREADS - len(under_way), hosts):
                    under_way[_begin(pool, one)] = one
                    calls += 1
            elif not others_go_on:
                enqueue(TASK)  # while the last calls end
                others_go_on = True
            if not under_way:
                return calls
            ended, _ = wait(under_way, LOOKS_AGAIN, FIRST_COMPLETED)
            for future in ended:
                run_isolated(record, Ended(under_way.pop(future), future.result()))


def _begin(pool: ThreadPoolExecutor, one: Claim) -> "Future[Answer]":
    try:
        keys = signing_secrets(one.endpoint)
    except SecretUnreadable as error:
        logger.error("webhook endpoint %s: %s", one.endpoint.endpoint_id, error)
        unsigned: Future[Answer] = Future()
        unsigned.set_result(Answer(None, 0, "It could not be signed; an operator has to look at it."))
        return unsigned
    delivery = one.delivery
    headers = signing.headers(keys, delivery.event_id, clock.about_now(), delivery.body)
    return pool.submit(transport.post, one.endpoint.url, headers, delivery.body.encode())


@dataclass(frozen=True, slots=True)
class Ended:
    """A call and its outcome."""

    claim: Claim
    answer: Answer


def record(ended: Ended) -> None:
    """Record one try, and what follows for the body and its endpoint."""
    one, answer = ended.claim, ended.answer
    now = clock.about_now()
    with transaction.atomic():
        if answer.is_success:
            _record_success(one, answer, now)
        else:
            _record_failure(one, answer, now)


def _record_success(one: Claim, answer: Answer, now: datetime) -> None:
    WebhookEndpoint.objects.filter(pk=one.endpoint.pk, failing_since__isnull=False).update(
        failing_since=None, failure_count=0, slow_until=None, told_failing_at=None
    )
    # Whoever holds the lease now, the arrival is a fact.
    arrived = WebhookDelivery.objects.filter(pk=one.delivery.pk).exclude(state=WebhookState.DELIVERED)
    arrived.update(
        state=WebhookState.DELIVERED,
        delivered_at=now,
        last_status=answer.status,
        attempt_count=F("attempt_count") + 1,
        lease_owner="",
        lease_until=None,
    )
    _note(one, answer, now)


def _record_failure(one: Claim, answer: Answer, now: datetime) -> None:
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=one.endpoint.pk).first()
    held = WebhookDelivery.objects.filter(pk=one.delivery.pk, lease_owner=one.owner, state=WebhookState.WAITING)
    if endpoint is None:
        return  # the endpoint was removed meanwhile, with all that waited for it
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.failure_count += 1
    if pause := _pause(endpoint.failure_count, answer):
        endpoint.slow_until = max(now + pause, endpoint.slow_until or now)
    endpoint.save(update_fields=["failing_since", "failure_count", "slow_until", "updated_at"])
    tries = one.delivery.attempt_count + 1
    is_over = tries > len(DELAYS) and now - one.delivery.created_at >= GIVE_UP_AFTER
    held.update(
        state=WebhookState.FAILED if is_over else WebhookState.WAITING,
        next_attempt_at=now + delay_after(tries),
        attempt_count=tries,
        last_status=answer.status,
        lease_owner="",
        lease_until=None,
    )
    _note(one, answer, now)
    _judge(endpoint, answer, now)


def delay_after(tries: int) -> timedelta:
    """Return the wait after this try, counted from 1."""
    return DELAYS[min(tries, len(DELAYS)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (jitter, not a secret)


def _pause(failures: int, answer: Answer) -> timedelta | None:
    """Return how long an endpoint is left alone after so many failures in a row.

    That is as long as it asked for, or longer and longer.
    """
    if answer.retry_after is not None:
        return timedelta(seconds=answer.retry_after)
    counted = failures if answer.status in (None, *OVERLOADED) else failures - FAILURES_BEFORE_PAUSE
    if counted <= 0:
        return None
    return timedelta(seconds=min(PAUSE * 2 ** min(counted - 1, 10), LONGEST_PAUSE))


def _note(one: Claim, answer: Answer, now: datetime) -> None:
    if not WebhookDelivery.objects.filter(pk=one.delivery.pk).exists():
        return
    WebhookAttempt.objects.create(
        delivery=one.delivery,
        started_at=now - timedelta(milliseconds=answer.duration_ms),
        duration_ms=answer.duration_ms,
        http_status=answer.status,
        error=answer.error,
        response=answer.response,
    )


def _judge(endpoint: WebhookEndpoint, answer: Answer, now: datetime) -> None:
    assert endpoint.failing_since is not None
    failing_for = now - endpoint.failing_since
    if not endpoint.is_active:
        return
    if answer.status == 410:
        disable(endpoint, Sentence(gettext_noop("It answered 410 Gone.")), now)
    elif failing_for >= DISABLE_AFTER and endpoint.failure_count >= DISABLE_TRIES:
        disable(
            endpoint,
            Sentence(gettext_noop("No success in 72 hours and %(count)d tries."), count=endpoint.failure_count),
            now,
        )
    elif failing_for >= TELL_AFTER and endpoint.told_failing_at is None:
        endpoint.told_failing_at = now
        endpoint.save(update_fields=["told_failing_at", "updated_at"])
        audit.record(
            "webhook.failing",
            account=endpoint.account,
            by=None,
            target_type="webhook",
            target_id=endpoint.endpoint_id,
            after={"failing_since": str(endpoint.failing_since)},
        )
        logger.warning("webhook endpoint %s has failed for a day", endpoint.endpoint_id)


def disable(endpoint: WebhookEndpoint, reason: str | Sentence, now: datetime) -> None:
    """Switch an endpoint off, in the caller's transaction.

    What waits for it fails, to be replayed once it is back, and the account's other endpoints are notified.
    """
    reason = as_sentence(reason)
    endpoint.is_active, endpoint.disabled_at, endpoint.disabled_reason = False, now, reason
    endpoint.save(update_fields=["is_active", "disabled_at", "disabled_reason", "updated_at"])
    endpoint.deliveries.filter(state=WebhookState.WAITING).update(
        state=WebhookState.FAILED, lease_owner="", lease_until=None
    )
    shown = {"endpoint_id": endpoint.endpoint_id, "url": endpoint.url, "disabled_reason": reason.english}
    audit.record(
        "webhook.disabled",
        account=endpoint.account,
        by=None,
        target_type="webhook",
        target_id=endpoint.endpoint_id,
        after={"reason": reason.english},
    )
    logger.warning("webhook endpoint %s is switched off: %s", endpoint.endpoint_id, reason.english)
    if endpoint.kind == EndpointKind.ENDPOINT:
        emit(endpoint.account_id, endpoint.mode, EventType.ENDPOINT_DISABLED, shown)
