"""How fast an account and a sender may send, where an operator sets that: beside what the gateway allows.

Batches of those without capacity are not leased at all. Each process finds out for itself: it remembers whom it met
lately, and asks for their capacity before it leases.
"""

import time
from dataclasses import replace
from typing import NamedTuple

from django.db.models import Q

from accounts.models import SenderId
from campaigns.models import Campaign
from messaging.ids import MAX_IN_BATCH
from messaging.routing import throttle
from messaging.routing.throttle_state import Grant
from smsapp.core.process_cache import remember

KNOWN_FOR = 30.0  # seconds
MOST_KNOWN = 10_000


class Own(NamedTuple):
    """A rate in messages a second: of one sender of an account, or of all its sending if `sender_id` is empty."""

    account_id: int
    sender_id: str
    rate: float

    @property
    def name(self) -> str:
        return f"sender:{self.account_id}:{self.sender_id}" if self.sender_id else f"account:{self.account_id}"

    @property
    def batches(self) -> Q:
        """Return the condition on batches that this rate applies to."""
        return Q(account_id=self.account_id, **({"campaign__sender_id": self.sender_id} if self.sender_id else {}))


_met: dict[str, tuple[float, Own]] = {}  # by name: when a batch of it was leased last (monotonic)


def own_rates(campaign: Campaign) -> list[Own]:
    """Return the rates that apply to this campaign."""
    rates = []
    if campaign.account.rate is not None:
        rates.append(Own(campaign.account_id, "", campaign.account.rate))
    if campaign.sender_id and (rate := _rate_of(campaign.account_id, campaign.sender_id)) is not None:
        rates.append(Own(campaign.account_id, campaign.sender_id, rate))
    return rates


def take(campaign: Campaign, gateway: str, wanted: int, *, yields: bool = False) -> Grant:
    """Take capacity of the gateway, and the same of the rates of account and sender.

    Whoever has none says how long to wait, and nothing is kept of the others.
    """
    owns = own_rates(campaign)
    taken: list[tuple[str, int]] = []
    grant = Grant(wanted, 0.0)
    for own in owns:
        grant = throttle.take_within(own.name, own.rate, grant.granted, yields=yields)
        taken.append((own.name, grant.granted))
        if not grant:
            break
    if grant:
        grant = throttle.take(gateway, grant.granted, yields=yields)
    for name, count in taken:
        throttle.give_back(name, count - grant.granted)
    return replace(grant, own=tuple(name for name, _ in taken)) if grant else grant


def meet(campaign: Campaign) -> list[Own]:
    """Return the rates that apply to a batch about to be leased, and look at them from now on."""
    owns, now = own_rates(campaign), time.monotonic()
    for own in owns:
        _met[own.name] = (now, own)
    return owns


def look(*, yields: bool = False) -> list[tuple[Own, Grant]]:
    """Return the capacity of each rate that was met lately.

    A rate that stays without capacity is met again in a while, so that a change of it is noticed.
    """
    oldest = time.monotonic() - KNOWN_FOR
    for name in [name for name, (met_at, _) in _met.items() if met_at < oldest]:
        del _met[name]
    owns = [own for _, own in _met.values()]
    return [(own, throttle.may_send_within(own.name, own.rate, MAX_IN_BATCH, yields=yields)) for own in owns]


def forget() -> None:
    """Read the rates again, the next time they are asked for."""
    _rate_of.cache_clear()  # type: ignore[attr-defined]
    _met.clear()


@remember(MOST_KNOWN, KNOWN_FOR)
def _rate_of(account_id: int, sender_id: str) -> float | None:
    return SenderId.objects.filter(account=account_id, value=sender_id).values_list("rate", flat=True).first()
