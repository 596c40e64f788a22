"""Batches whose gateway is down, or no longer set up, move to the next of their routes.

Only what no provider can have is moved: the queued messages of a batch that nobody holds. Messages whose outcome is
unknown are not queued, and what was once in doubt stays with its gateway (`prepare.py`). A batch's gateway and the
reason are columns, so a move is one conditional update, and whoever leases the batch afterwards calls the other
gateway. If no other is left it waits, and says so. Batches that never had a gateway: `unrouted.py`.

A gateway that only throttles us keeps its batches.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext_noop

from campaigns.transitions import pause_for_gateway
from messaging.choices import AttemptState, BatchState, Lane
from messaging.gateways import registry
from messaging.models import Batch
from messaging.querysets import BatchQuerySet
from messaging.routing import throttle
from messaging.routing.router import Choice, Router
from smsapp.core import clock
from smsapp.core.enqueue import enqueue
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

PASSED_BY_FOR = timedelta(seconds=60)  # for which a batch avoids a gateway that failed it, while there are others
AT_ONCE = 2000  # batches of one gateway in one transaction
GONE = gettext_noop("Its gateway %(name)s is no longer set up, and no other is.")


def next_choice(batch: Batch, failed: str, why: str) -> Choice | None:
    """Return another gateway for a batch whose call certainly failed, None if it has to stay.

    Each gets its turn before one that failed is tried again. `why`: in words.
    """
    if batch.is_pinned:
        return None
    router = Router(batch.account_id, batch.campaign.sender_id, batch.mode)
    failures = batch.attempts.filter(state=AttemptState.NOT_SENT, finished_at__gte=clock.now() - PASSED_BY_FOR)
    choice = router.choose(batch.prefix, without={failed, *_down(), *failures.values_list("gateway", flat=True)})
    return choice and Choice(choice.gateway, _note(failed, why, choice))


def move_all() -> int:
    """Move the ready batches of every gateway that is down or gone. Return the number of batches."""
    down, moved = _down(), 0
    for name in _waited_for():
        if name in down:
            moved += _move(name, down, "is down")
        elif name and name not in registry.names():
            moved += _move(name, {name, *down}, "is no longer set up")
            if name not in registry.known():  # batches wait for one that is only switched off
                _pause_left(name)
    if moved:
        enqueue("messaging.dispatch_singles")
        enqueue("messaging.dispatch_campaigns")
    return moved


def _waited_for() -> set[str]:
    """Return the gateways that ready batches wait for: one step in the index each, however many batches there are."""
    found: set[str] = set()
    for lane in Lane:
        ready = Batch.objects.filter(state=BatchState.READY, lane=lane).order_by("gateway")
        name = ready.values_list("gateway", flat=True).first()
        while name is not None:
            found.add(name)
            name = ready.filter(gateway__gt=name).values_list("gateway", flat=True).first()
    return found


def _down() -> set[str]:
    """Return gateways whose breaker is open."""
    return {name for name in registry.names() if throttle.is_down(name)}


def _move(name: str, without: Collection[str], why: str) -> int:
    moved = sum(_move_some(name, lane, without, why) for lane in Lane)
    if moved:
        logger.warning("gateway %s %s: %s batches go to others", name, why, moved)
    return moved


def _move_some(name: str, lane: Lane, without: Collection[str], why: str) -> int:
    """Look at some batches from a random one on: those without another gateway must not hide the others."""
    moved = 0
    with transaction.atomic():
        ready = Batch.objects.filter(state=BatchState.READY, lane=lane, gateway=name)
        batches = _some(ready.filter(is_pinned=False))
        for choice, among in _choices(batches, without).items():
            note = _note(name, why, choice)
            values = {"gateway": choice.gateway, "was_moved": True, "route_note": note, "retry_count": 0}
            moved += Batch.objects.filter(pk__in=among, state=BatchState.READY).update(**values)
    return moved


def _some(ready: BatchQuerySet) -> list[Batch]:
    """Lock up to AT_ONCE of a gateway's batches that nobody has locked, in the order of their index."""
    in_order = ready.order_by("turn", "id")
    last = in_order.reverse().values_list("turn", flat=True).first() or 0
    rows = in_order.select_for_update(of=("self",), skip_locked=True).select_related("campaign")
    start = random.randint(0, last)  # noqa: S311
    found = list(rows.filter(turn__gte=start)[:AT_ONCE])
    return found + list(rows.filter(turn__lt=start)[: AT_ONCE - len(found)])


def _choices(batches: Iterable[Batch], without: Collection[str]) -> dict[Choice, list[int]]:
    """Return the next route of each batch that has one."""
    routers: dict[tuple[int, str, str], Router] = {}
    found: dict[Choice, list[int]] = defaultdict(list)
    for batch in batches:
        key = (batch.account_id, batch.campaign.sender_id, batch.mode)
        router = routers.get(key) or routers.setdefault(key, Router(*key))
        if choice := router.choose(batch.prefix, without):
            found[choice].append(batch.pk)
    return found


def _pause_left(name: str) -> None:
    """Pause campaigns that wait for a gateway that is gone: an operator has to look at them.

    The ready batches of a paused campaign are deferred, so that others follow.
    """
    for lane in Lane:
        left = Batch.objects.filter(state=BatchState.READY, lane=lane, gateway=name).order_by("turn", "id")
        for campaign_id in sorted(set(left.values_list("campaign_id", flat=True)[:AT_ONCE])):
            pause_for_gateway(campaign_id, Sentence(GONE, name=name))


def _note(failed: str, why: str, choice: Choice) -> str:
    return f"{failed} {why}, so: {choice.note}"[:200]
