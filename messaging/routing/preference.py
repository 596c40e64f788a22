"""Which gateway live messages go to while there are no routes: an act of its own, never a side effect of saving."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Sum

from accounts.choices import Mode
from accounts.models import User
from accounts.security import audit
from messaging.choices import BatchState
from messaging.gateways import registry
from messaging.models import Batch, Gateway, Route
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import InvalidState

WAITING = (BatchState.DEFERRED, BatchState.READY)


@dataclass(frozen=True, slots=True)
class Change:
    """What would change.

    `now`: the preferred gateway, None if messages wait. `staying`: messages that keep their gateway. `unrouted`:
    messages without one.
    """

    now: str | None
    has_routes: bool
    staying: int
    unrouted: int


def change() -> Change:
    """Return what an operator should know before preferring another gateway."""
    waiting = Batch.objects.filter(mode=Mode.LIVE, state__in=WAITING, queued__gt=0)
    sums = dict(waiting.order_by().values_list("gateway").annotate(Sum("queued")))
    unrouted = sums.pop("", 0)
    return Change(registry.preferred(), Route.objects.filter(is_enabled=True).exists(), sum(sums.values()), unrouted)


@transaction.atomic
def prefer(row: Gateway, by: User) -> None:
    """Prefer a gateway. Raises InvalidState for one that is off."""
    row = Gateway.objects.select_for_update().get(pk=row.pk)
    if not row.is_enabled:
        raise InvalidState("This gateway is off: send a test, then switch it on.")
    before = _unset()
    row.is_preferred = True
    row.save(update_fields=["is_preferred", "updated_at"])
    _note("gateway.preferred", row, by, before)


@transaction.atomic
def prefer_no_more(row: Gateway, by: User) -> None:
    """Return to the gateway of the environment. Without one, unrouted messages wait."""
    if before := _unset(row):
        _note("gateway.preferred_no_more", row, by, before)


def _unset(row: Gateway | None = None) -> str:
    """Unset the preference. Return the name of the gateway that was preferred, or empty."""
    rows = Gateway.objects.filter(is_preferred=True) if row is None else Gateway.objects.filter(pk=row.pk)
    before = rows.filter(is_preferred=True).select_for_update().first()
    if before is None:
        return ""
    before.is_preferred = False
    before.save(update_fields=["is_preferred", "updated_at"])
    return before.name


def _note(action: str, row: Gateway, by: User, before: str) -> None:
    enqueue("messaging.check_balance")
    audit.record(action, account=None, by=by, target_type="gateway", target_id=row.name, before={"preferred": before})
