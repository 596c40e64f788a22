"""Which gateway messages go to: the most specific route first, and among equal routes by weight.

A route is for messages of one account or all, one sender or all, and numbers with one prefix or all. Those that match a
message are ordered: routes of its account, then of its sender, then with the longest prefix, then by priority. Routes
that are equal in all of these share the messages by weight, each cut to the share that its gateway's health leaves it
(`gateway_health.py`). The rest are used when those before them are down.

Without any route everything goes to the preferred gateway. With routes, messages that match none wait for one, as all
do without either (`unrouted.py`). Test mode uses the simulator and no routes.

A batch holds messages that go the same way, so expansion asks for each number's `prefix` and chooses once a batch.
Queued messages may move to another gateway later (`failover.py`): the prefix says which.
"""

import logging
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from django.conf import settings
from django.db.models import Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from accounts.choices import Mode
from messaging.gateways import registry
from messaging.models import Gateway, Route, RouteHealth
from messaging.models.gateways import FULL_SHARE
from smsapp.core.enqueue import enqueue
from smsapp.core.process_cache import Reread
from smsapp.lib.phone import calling_code

logger = logging.getLogger(__name__)

DEFAULT_NOTE = "The preferred gateway; no routes are set up."
UNMATCHED_DIGITS = 3  # digits after the calling code of unmatched numbers: as precise as routes usually are
LONGEST_CODE = 3  # digits of a calling code


@dataclass(frozen=True, slots=True)
class Choice:
    """A gateway for a batch, by name, and why in words for an operator."""

    gateway: str
    note: str


@dataclass(frozen=True, slots=True)
class _Known:
    """A route as it is kept in memory."""

    pk: int
    gateway: str
    account_id: int | None
    sender_id: str
    prefix: str
    priority: int
    weight: int

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        """Return the sort key; the lowest comes first."""
        return (self.account_id is None, not self.sender_id, -len(self.prefix), self.priority)

    def __str__(self) -> str:
        numbers = f"+{self.prefix}" if self.prefix else "every number"
        whose = f", sender {self.sender_id}" if self.sender_id else ""
        return f"route {self.pk} ({numbers}{whose}{', this account' if self.account_id else ''})"


@dataclass(frozen=True, slots=True)
class _Table:
    """Everything that is set up. `shares`: in hundredths, by gateway and prefix."""

    routes: list[_Known]
    shares: dict[tuple[str, str], int]


class Router:
    """The routes of one account's messages with one sender."""

    def __init__(self, account_id: int, sender_id: str, mode: str) -> None:
        self._is_test = mode == Mode.TEST
        table = _current()
        self._shares = table.shares
        self._preferred = None if table.routes or self._is_test else registry.preferred()
        own = [route for route in table.routes if route.account_id in (None, account_id)]
        self._routes = sorted(
            (route for route in own if route.sender_id in ("", sender_id)), key=lambda route: (*route.rank, route.pk)
        )
        self._lengths = sorted({len(route.prefix) for route in self._routes}, reverse=True)
        self._prefixes = {route.prefix for route in self._routes}
        self._has_choice = len({route.gateway for route in self._routes}) > 1
        reaches_all = "" in self._prefixes
        unmatched = LONGEST_CODE if reaches_all else LONGEST_CODE + UNMATCHED_DIGITS
        self._looked_at = max([unmatched, *self._lengths])
        self.prefix_of = lru_cache(maxsize=4096)(self._prefix_of)

    @property
    def is_simple(self) -> bool:
        """Return whether all numbers go the same way, so that nobody has to look at them."""
        if self._is_test or self._preferred is not None:
            return True
        return self._prefixes == {""} and not self._has_choice

    def prefixes_of(self, phones: Iterable[str]) -> list[str]:
        """Return the prefixes of E.164 numbers with plus, by which a batch is shared."""
        if self.is_simple:
            return ["" for _ in phones]
        return [self.prefix_of(phone[1 : 1 + self._looked_at]) for phone in phones]

    def _prefix_of(self, beginning: str) -> str:
        """Return the longest matching prefix of a route, or the calling code where gateways compete.

        Their health is measured by country. If no route matches, the prefix is long enough for one that may be added
        later.
        """
        matched = next((beginning[:n] for n in self._lengths if beginning[:n] in self._prefixes), None)
        if matched is None:
            return beginning[: len(calling_code(beginning)) + UNMATCHED_DIGITS]
        code = calling_code(beginning) if self._has_choice else ""
        return max(matched, code, key=len)

    def gateways_of(self, prefix: str) -> list[str]:
        """Return all gateways for this prefix by name, whatever their state; none if no route leads there."""
        if self._is_test:
            return [registry.SIMULATOR]
        if self._preferred is not None:
            return [self._preferred]
        return [route.gateway for equal in self._equals(prefix) for route in equal]

    def leads_to(self, prefix: str) -> bool:
        """Return whether any route leads there, whatever the state of its gateway."""
        return bool(self.gateways_of(prefix))

    def choose(self, prefix: str, without: Collection[str] = ()) -> Choice | None:
        """Return a gateway for this prefix, none of those in `without`; None if there is none."""
        usable = [name for name in registry.names() if name not in without]
        if self._is_test:
            return Choice(registry.SIMULATOR, "") if registry.SIMULATOR in usable else None
        if self._preferred is not None:
            return Choice(self._preferred, DEFAULT_NOTE) if self._preferred in usable else None
        for equal in self._equals(prefix):
            among = [route for route in equal if route.gateway in usable]
            if among:
                return self._by_weight(among, prefix)
        return None

    def _equals(self, prefix: str) -> Iterator[list[_Known]]:
        matching = [route for route in self._routes if prefix.startswith(route.prefix)]
        for _, equal in groupby(matching, key=lambda route: route.rank):
            yield list(equal)

    def _by_weight(self, routes: Sequence[_Known], prefix: str) -> Choice:
        if len(routes) == 1:
            return Choice(routes[0].gateway, _note(f"By {routes[0]}."))
        weights = [route.weight * self._share(route.gateway, prefix) / FULL_SHARE for route in routes]
        (route,) = random.choices(routes, weights)  # noqa: S311  (a share of traffic, no secret)
        share = self._share(route.gateway, prefix)
        health = f", of which its health leaves {share} %" if share < FULL_SHARE else ""
        total = sum(equal.weight for equal in routes)
        return Choice(route.gateway, _note(f"By {route}: weight {route.weight} of {total}{health}."))

    def _share(self, gateway: str, prefix: str) -> int:
        """Return a share that is never 0: a gateway without messages can never show that it works again."""
        return max(1, self._shares.get((gateway, prefix), FULL_SHARE))


def leads_to_one_that_is_off(account_id: int, sender_id: str, prefix: str) -> bool:
    """Return whether numbers with this prefix would have a gateway if it were switched on."""
    whose = Q(account=None) | Q(account=account_id)
    routes = Route.objects.filter(whose, is_enabled=True, sender_id__in=("", sender_id))
    if Route.objects.filter(is_enabled=True).exists():
        return any(prefix.startswith(beginning) for beginning in routes.values_list("prefix", flat=True).distinct())
    return Gateway.objects.filter(is_preferred=True).exists()


def live_gateways() -> list[str]:
    """Return all gateways that live messages may go to by name, whatever their state."""
    preferred = registry.preferred()
    return sorted({route.gateway for route in _current().routes}) or ([] if preferred is None else [preferred])


def forget() -> None:
    """Read routes and health again, the next time they are asked for."""
    _table.expire()


def _note(text: str) -> str:
    return text[:200]


def _current() -> _Table:
    """Return the routes as the database had them some seconds ago; while it is down, as they were last known."""
    return _table.get()


def _routes() -> list[_Known]:
    rows = Route.objects.filter(is_enabled=True, gateway__is_enabled=True)
    fields = ("pk", "gateway__name", "account_id", "sender_id", "prefix", "priority", "weight")
    return [_Known(*row) for row in rows.values_list(*fields)]


def _shares() -> dict[tuple[str, str], int]:
    rows = RouteHealth.objects.exclude(share=FULL_SHARE).values_list("gateway", "prefix", "share")
    return {(gateway, prefix): share for gateway, prefix, share in rows}


_table = Reread("routes", lambda: _Table(_routes(), _shares()), _Table([], {}), lambda: settings.GATEWAYS_READ_EVERY)


@receiver([post_save, post_delete], sender=Route)
@receiver([post_save, post_delete], sender=RouteHealth)
def _changed(**kwargs: object) -> None:
    """Make the change known to this process at once."""
    forget()


@receiver([post_save, post_delete], sender=Route)
@receiver([post_save, post_delete], sender=Gateway)
def _enqueue_sweep(**kwargs: object) -> None:
    """Look again for a route of unrouted messages (`unrouted.py`)."""
    enqueue("messaging.sweep")
