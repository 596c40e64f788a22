"""1. lease: ready batches pass to a worker, by one conditional update: owner, epoch + 1, deadline; and back."""

import os
import socket
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from django.conf import settings
from django.db import transaction
from django.db.models import F

from messaging.choices import BATCH, Actor, BatchState, Lane
from messaging.models import Batch
from messaging.outcomes import settlement
from messaging.querysets import BatchQuerySet
from messaging.sending.capacity import Capacity
from smsapp.core import clock

FRONT = 500  # batches of a gateway that are looked at: more than all workers hold, and what is set aside within seconds


def lease(lane: Lane, limit: int, capacity: Capacity | None = None, *, with_suspects: bool = True) -> list[Batch]:
    """Take ready batches, up to `limit` of each gateway, those that there is room for; None: up to `limit` of any.
    Their epoch is ours alone until `lease_until`.

    A batch whose last lease ended without a result is taken alone: should it be the one that kills its worker,
    no other batch is counted as doing so with it.
    """
    now = clock.now()
    with transaction.atomic():
        ready = Batch.objects.to_lease(lane, now)
        if not with_suspects:
            ready = ready.filter(lease_count=0)
        ready = ready.select_for_update(skip_locked=True, of=("self",))
        ready = ready.select_related("campaign__audience", "campaign__account")
        batches = (
            list(ready[:limit]) if capacity is None else capacity.chosen(_fronts(ready, lane, limit, now, capacity))
        )
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


def _fronts(ready: BatchQuerySet, lane: Lane, limit: int, now: datetime, capacity: Capacity) -> list[Batch]:
    """The next of each gateway, in turn. Of all together they might be those of one that has no room for so many."""
    fronts = {name: _front(lane, name, now, capacity) for name in capacity.gateways}
    batches = [batch for pks in fronts.values() if pks for batch in ready.filter(pk__in=pks)[:limit]]
    return sorted(batches, key=attrgetter("turn", "pk"))


def _front(lane: Lane, gateway: str, now: datetime, capacity: Capacity) -> list[int]:
    """Return the ready batches of a gateway that come next in its lane, whether they may leave or not; without those of
    accounts and senders that have no room now.

    Asked for alone, and by gateway: in one question with campaigns and accounts, PostgreSQL reads all that waits for
    a gateway that is away. What may not leave is set aside by the sweep and does not stay in front.
    """
    ready = Batch.objects.filter(state=BatchState.READY, lane=lane, gateway=gateway, next_attempt_at__lte=now)
    return list(capacity.without_full(ready).order_by("turn", "id").values_list("pk", flat=True)[:FRONT])


def lock(batches: Sequence[Batch]) -> None:
    """In the order that everybody keeps; the caller's transaction holds them to its end."""
    rows = Batch.objects.filter(pk__in=[batch.pk for batch in batches])
    list(rows.order_by("pk").select_for_update().values_list("pk"))


def give_up(batches: Sequence[Batch], now: datetime, **values: object) -> None:
    """Give batches that we have locked back, those that are still ours; where to, their tallies say."""
    ours = {batch.pk: batch.lease_epoch for batch in batches}
    to_rest: dict[BatchState, list[int]] = defaultdict(list)
    current = Batch.objects.filter(pk__in=ours).only("state", "lease_epoch", "queued", "unknown") if ours else ()
    for batch in current:
        to = settlement.resting_state(batch)
        if batch.lease_epoch == ours[batch.pk] and BATCH.may(BatchState(batch.state), to, Actor.WORKER):
            to_rest[to].append(batch.pk)
    for to, pks in to_rest.items():
        Batch.objects.filter(pk__in=pks).update(
            state=to,
            lease_owner="",
            lease_until=None,
            lease_count=0,
            report_deadline=now + timedelta(hours=settings.REPORT_DEADLINE_HOURS),
            **values,
        )


def lease_end(batch: Batch) -> datetime:
    assert batch.lease_until is not None
    return batch.lease_until


def _worker_name() -> str:
    return f"{socket.gethostname()[:60]}:{os.getpid()}"
