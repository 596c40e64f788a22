"""Step 1, lease: ready batches pass to a worker by one conditional update (owner, epoch + 1, deadline), and back."""

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

FRONT = 500  # batches of a gateway that are looked at: more than all workers hold and the sweep defers within seconds


def lease(lane: Lane, limit: int, capacity: Capacity | None = None, *, with_suspects: bool = True) -> list[Batch]:
    """Lease ready batches there is capacity for, up to `limit` of each gateway.

    Their epoch is ours alone until `lease_until`. Without `capacity`, up to `limit` of any gateway. A batch whose last
    lease ended without a result is leased alone: should it be the one that kills its worker, no other batch is
    suspected with it.
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
    """Return the next batches of each gateway, in turn. The next of all might belong to one without capacity."""
    fronts = {name: _front(lane, name, now, capacity) for name in capacity.gateways}
    batches = [batch for pks in fronts.values() if pks for batch in ready.filter(pk__in=pks)[:limit]]
    return sorted(batches, key=attrgetter("turn", "pk"))


def _front(lane: Lane, gateway: str, now: datetime, capacity: Capacity) -> list[int]:
    """Return the next ready batches of a gateway in its lane, whether they may leave or not.

    Batches of accounts and senders without capacity are left out. Each gateway is asked by itself: in one query with
    campaigns and accounts, PostgreSQL reads everything that waits for a gateway that is down. The sweep defers what may
    not leave, so it does not stay in front.
    """
    ready = Batch.objects.filter(state=BatchState.READY, lane=lane, gateway=gateway, next_attempt_at__lte=now)
    return list(capacity.without_full(ready).order_by("turn", "id").values_list("pk", flat=True)[:FRONT])


def lock(batches: Sequence[Batch]) -> None:
    """Lock batches in id order, as everybody does, until the caller's transaction ends."""
    rows = Batch.objects.filter(pk__in=[batch.pk for batch in batches])
    list(rows.order_by("pk").select_for_update().values_list("pk"))


def give_up(batches: Sequence[Batch], now: datetime, **values: object) -> None:
    """Give leased and locked batches back, if they are still ours. Their tallies decide which state they get."""
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
