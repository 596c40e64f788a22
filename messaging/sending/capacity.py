"""What may be leased now: batches whose gateway, account and sender have capacity left."""

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
    """How many more calls a gateway can take from this process, and on how many connections."""

    calls: int
    connections: int

    def __bool__(self) -> bool:
        return self.calls > 0 and self.connections > 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What can be sent now.

    `gateways`: those with capacity, by name. `full`: conditions on batches whose account or sender has none. `left`:
    messages that the rates of others still allow, by the name of the rate.
    """

    gateways: Mapping[str, Free]
    full: Sequence[Q] = ()
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Return the largest number of calls that any gateway can take."""
        return max((free.calls for free in self.gateways.values()), default=0)

    def without_full(self, batches: BatchQuerySet) -> BatchQuerySet:
        """Leave out batches whose account or sender has no capacity, as far as this process knows."""
        for full in self.full:
            batches = batches.exclude(full)
        return batches

    def chosen(self, batches: Sequence[Batch]) -> list[Batch]:
        """Choose, in their order, as many of these batches as there is capacity for.

        A batch that does not fit is not overtaken by later ones for its gateway.
        """
        free = {name: Free(capacity.calls, capacity.connections) for name, capacity in self.gateways.items()}
        left = dict(self.left)
        chosen = []
        for batch in batches:
            names = [own.name for own in sender_rates.meet(batch.campaign)]
            if any(left.get(name, 1) <= 0 for name in names):
                continue  # a rate that is met for the first time allows a single batch
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
    """Return the most messages that the next call can carry."""
    return min(batch.call_size, policy.max_batch, max(1, batch.queued))
