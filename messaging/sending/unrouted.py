"""Messages without a route wait: nothing fails at once, and an operator is notified.

A batch without a gateway for its numbers is deferred. Every sweep looks again at such batches of running campaigns, and
writes nothing until something changes:

    a route leads there now     they get its gateway and leave
    none does                   a campaign of which nothing else can leave is paused, naming the numbers; messages of a
                                single send fail after NO_ROUTE_HOURS
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_noop

from accounts.security import sending_hold
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.transitions import pause_for_no_route
from messaging.choices import BatchState, Lane, MessageStatus, Reason
from messaging.gateways import registry
from messaging.ids import batch_range
from messaging.models import Batch
from messaging.outcomes import settlement
from messaging.querysets import BatchQuerySet
from messaging.restore import detection
from messaging.routing.router import Choice, Router, forget, leads_to_one_that_is_off
from messaging.storage import message_rows
from smsapp.core.isolation import run_isolated
from smsapp.lib.sentences import Sentence

logger = logging.getLogger(__name__)

AT_ONCE = 2000  # batches per transaction; campaigns per sweep
CLOSED_AT_ONCE = 200  # overdue batches
PREFIXES_NAMED = 8


class Destination(NamedTuple):
    """Where a batch has to go: everything that routes depend on."""

    account_id: int
    sender_id: str
    mode: str
    prefix: str

    @property
    def router(self) -> Router:
        return Router(self.account_id, self.sender_id, self.mode)

    @property
    def is_known(self) -> bool:
        """Return whether a route leads there, even if its gateway is down or switched off."""
        is_off = leads_to_one_that_is_off(self.account_id, self.sender_id, self.prefix)
        return self.router.leads_to(self.prefix) or is_off


_DESTINATION = ("account_id", "campaign__sender_id", "mode", "prefix")


def note_of(prefix: str) -> str:
    """Return the note for operators on a batch without a route."""
    return f"No route leads to +{prefix}…." if prefix else "There is no gateway for it."


def waiting() -> BatchQuerySet:
    """Return batches without a gateway, of running campaigns."""
    running = Campaign.objects.filter(closed_at=None, status=CampaignStatus.RUNNING, queued__gt=0)
    return Batch.objects.filter(campaign__in=running.values("pk"), state=BatchState.DEFERRED, gateway="")


def look(now: datetime) -> int:
    """Look for routes again, pause campaigns without one, fail what waited too long.

    Return how many batches got a gateway.
    """
    if not waiting().exists():
        return 0
    registry.forget()  # so that a route saved a moment ago counts
    forget()
    destinations = _destinations()
    found = sum(run_isolated(_take, destination) or 0 for destination in destinations)
    for campaign_id, prefixes in _stuck():
        run_isolated(partial(_pause, prefixes=prefixes), campaign_id)
    if not sending_hold.is_held() and not detection.is_uncertain():
        for pk in islice(_overdue(destinations, now), CLOSED_AT_ONCE):
            run_isolated(_close, pk)
    return found


def _destinations() -> list[Destination]:
    return [Destination(*row) for row in waiting().order_by().values_list(*_DESTINATION).distinct()]


def _take(destination: Destination) -> int:
    """Give batches a gateway, if there is one now. Return the number of batches. They leave like deferred ones."""
    router = destination.router
    if router.choose(destination.prefix) is None:
        return 0
    alike = _along(destination)
    chosen: dict[Choice, list[int]] = defaultdict(list)
    with transaction.atomic():
        rows = alike.select_for_update(of=("self",), skip_locked=True)
        for pk in rows.values_list("pk", flat=True)[:AT_ONCE]:
            if choice := router.choose(destination.prefix):
                chosen[choice].append(pk)
        for choice, pks in chosen.items():
            Batch.objects.filter(pk__among=pks).update(gateway=choice.gateway, route_note=choice.note)
    found = sum(map(len, chosen.values()))
    logger.info(
        "%s batches for +%s leave by %s", found, destination.prefix, ", ".join(sorted({c.gateway for c in chosen}))
    )
    return found


def _stuck() -> Iterator[tuple[int, list[str]]]:
    """Yield campaigns that have only unrouted batches left to send, with the prefixes of these."""
    rows = waiting().filter(lane=Lane.CAMPAIGNS, waits_for_canary=False).order_by("campaign_id")
    made = rows.filter(campaign__chunks_done=F("campaign__chunk_count"))
    prefixes: dict[int, list[str]] = defaultdict(list)
    for campaign_id, *destination in made.values_list("campaign_id", *_DESTINATION).distinct()[:AT_ONCE]:
        if not Destination(*destination).is_known:
            prefixes[campaign_id].append(destination[-1])
    others = Batch.objects.filter(queued__gt=0, waits_for_canary=False).exclude(gateway="")
    for campaign_id, named in prefixes.items():
        if not others.filter(campaign=campaign_id).exists():
            yield campaign_id, sorted(named)


def _pause(campaign_id: int, prefixes: Sequence[str]) -> None:
    if pause_for_no_route(campaign_id, _why_paused(prefixes)):
        logger.warning("campaign %s paused: %s", campaign_id, _why_paused(prefixes))


def _why_paused(prefixes: Sequence[str]) -> Sentence:
    named = [f"+{prefix}…" for prefix in prefixes if prefix]
    if not named:
        return Sentence(gettext_noop("No gateway is set up for its recipients."))
    first = ", ".join(named[:PREFIXES_NAMED])
    if len(named) <= PREFIXES_NAMED:
        return Sentence(gettext_noop("No route leads to %(prefixes)s."), prefixes=first)
    return Sentence(
        gettext_noop("No route leads to %(prefixes)s and %(count)d more."),
        prefixes=first,
        count=len(named) - PREFIXES_NAMED,
    )


def _overdue(destinations: Iterable[Destination], now: datetime) -> Iterator[int]:
    """Yield single sends that have waited too long without a route.

    Sends for a gateway that is only switched off may wait, and hide no others.
    """
    until = now - timedelta(hours=settings.NO_ROUTE_HOURS)
    for destination in destinations:
        late = _along(destination).filter(lane=Lane.SINGLES, created_at__lte=until).order_by("pk")
        if late.exists() and not destination.is_known:
            yield from list(late.values_list("pk", flat=True)[:CLOSED_AT_ONCE])


def _along(destination: Destination) -> BatchQuerySet:
    account_id, sender_id, mode, prefix = destination
    return waiting().filter(account_id=account_id, campaign__sender_id=sender_id, mode=mode, prefix=prefix)


def _close(batch_id: int) -> None:
    """Fail what still waits of a single send, unless a route leads there by now."""
    with transaction.atomic():
        rows = waiting().filter(pk=batch_id).select_for_update(of=("self",))
        destination = rows.values_list(*_DESTINATION).first()
        if destination is None or Destination(*destination).is_known:
            return
        # As with every closed message, the tally ends the batch.
        Batch.objects.filter(pk=batch_id).update(state=BatchState.READY)
        message_pks = message_rows.read_message_pks(*batch_range(batch_id), MessageStatus.QUEUED)
        settlement.control(message_pks, MessageStatus.FAILED, Reason.NO_ROUTE)
    logger.warning("batch %s failed: in %g hours no route was made for it", batch_id, settings.NO_ROUTE_HOURS)
