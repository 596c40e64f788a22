"""Which messages a change of routes would leave without a route, so that an operator is asked first.

Without any route all messages go to the preferred gateway, so the first route may stop all others.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from messaging.gateways import registry
from messaging.models import Route

NAMED = 8  # prefixes named in one sentence


class Reach(NamedTuple):
    """Which messages a route is for. None, and empty, mean all."""

    account: str | None = None
    sender_id: str = ""
    prefix: str = ""

    def is_for(self, other: "Reach") -> bool:
        """Return whether this covers all messages of the other."""
        return (
            self.account in (None, other.account)
            and self.sender_id in ("", other.sender_id)
            and other.prefix.startswith(self.prefix)
        )

    def __str__(self) -> str:
        numbers = f"+{self.prefix}" if self.prefix else "any number"
        sender = f" from sender {self.sender_id}" if self.sender_id else ""
        return f"{numbers}{sender}{f' of account {self.account}' if self.account else ''}"


ALL = Reach()


def reaches(*, without: str = "", changed: Route | None = None) -> list[Reach]:
    """Return what has a route, without this gateway and with this route as it is to be.

    Without any route, everything has one to the preferred gateway.
    """
    rows = Route.objects.filter(is_enabled=True, gateway__is_enabled=True).exclude(gateway__name=without)
    if changed is not None:
        rows = rows.exclude(pk=changed.pk)
    found = [Reach(*row) for row in rows.values_list("account__name", "sender_id", "prefix")]
    if changed is not None and changed.is_enabled and changed.gateway.is_enabled:
        account = changed.account.name if changed.account else None
        found.append(Reach(account, changed.sender_id, changed.prefix))
    if not found and registry.preferred() not in (None, without):
        found.append(ALL)
    return found


def warning_of(before: Iterable[Reach], after: Iterable[Reach]) -> str:
    """Return, in words, what would no longer have a route; empty if nothing."""
    before, after = set(before), set(after)
    lost = [one for one in sorted({ALL, *before}, key=str) if _leads(before, one) and not _leads(after, one)]
    if ALL in lost and not after:
        return "From now on, no live message has a route: all wait until one is added or a gateway is preferred."
    if ALL in lost:
        return f"From now on, messages to others than {_listed(after)} have no route and wait until one is added."
    if lost:
        return f"From now on, messages to {_listed(lost)} have no route and wait until one is added."
    return ""


def _leads(routes: Collection[Reach], one: Reach) -> bool:
    return any(route.is_for(one) for route in routes)


def _listed(some: Collection[Reach]) -> str:
    words = sorted(map(str, some))
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return ", ".join(words[:NAMED]) + more
