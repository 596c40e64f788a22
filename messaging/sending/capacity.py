"""Whose batches may be leased now: of gateways that have room for more calls, of accounts and senders that have room in
their own rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from messaging.gateways import registry
from messaging.gateways.base import Policy
from messaging.models import Batch
from messaging.querysets import BatchQuerySet
from messaging.routing import sender_rates


@dataclass(slots=True)
class Free:
    """How many more calls a gateway may have from this process, and on how many connections."""

    calls: int
    connections: int

    def __bool__(self) -> bool:
        return self.calls > 0 and self.connections > 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """`gateways`: those that have room, by name. `full`: which batches are of accounts and senders that have none.
    `left`: messages that others have room for, by the name of the rate."""

    gateways: Mapping[str, Free]
    full: Sequence[Q] = ()
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """The most that one gateway has room for."""
        return max((free.calls for free in self.gateways.values()), default=0)

    def without_full(self, batches: BatchQuerySet) -> BatchQuerySet:
        """Those whose account and sender have room, as far as we know."""
        for full in self.full:
            batches = batches.exclude(full)
        return batches

    def chosen(self, batches: Sequence[Batch]) -> list[Batch]:
        """As many of these, in their order, as there is room for together. One that does not fit is not overtaken by
        others to its gateway."""
        free = {name: Free(capacity.calls, capacity.connections) for name, capacity in self.gateways.items()}
        left = dict(self.left)
        chosen = []
        for batch in batches:
            names = [own.name for own in sender_rates.meet(batch.campaign)]
            if any(left.get(name, 1) <= 0 for name in names):
                continue  # of one that is met for the first time: a single batch
            gateway, policy = free[batch.gateway], registry.policy_of(batch.gateway)
            wanted = in_one_call(batch, policy)
            gateway.calls -= 1
            gateway.connections -= policy.connections(wanted)
            if gateway.calls < 0 or gateway.connections < 0:
                gateway.calls = 0
                continue
            for name in names:
                left[name] = left.get(name, 0) - wanted
            chosen.append(batch)
        return chosen


def in_one_call(batch: Batch, policy: Policy) -> int:
    """Messages of its next call, at most."""
    return min(batch.call_size, policy.max_batch, max(1, batch.queued))
