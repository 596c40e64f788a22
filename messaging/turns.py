"""Whose turn it is: accounts alternate, and batches that may not leave are set aside.

A batch's `turn` is its place in its account's own queue; dispatch takes the lowest first. A newcomer starts level
with the front of everybody's queue and never before it, so nobody's earlier silence is held against the others.

Leasing walks the ready batches in that order, so a paused campaign's thousands would be read at every lease. The
sweep sets aside (`held` without a release time) what may not leave, and takes it up again, with new turns, once it
may. Nothing depends on how soon it does: leasing itself asks whether campaign and account may send.
"""

from django.db import transaction
from django.db.models import Q, Subquery

from campaigns.choices import CampaignStatus
from messaging.choices import BatchState
from messaging.models import Batch
from messaging.querysets import MAY_SEND
from smsapp.compiled import Compiled, Slot

AT_ONCE = 2000  # batches in one transaction, of an account and lane where they are taken up
_WAITING = Batch.objects.filter(MAY_SEND, state=BatchState.READY, lane=Slot("lane"))
_LAST_OWN = _WAITING.filter(account_id=Slot("account")).order_by("-turn").values("turn")[:1]
_IN_ORDER = _WAITING.order_by("turn", "id")
#: The turn that dispatch has come to, how often its batch was tried, and the last turn of the account itself.
_FRONT = Compiled(lambda: _IN_ORDER.values_list("turn", "lease_epoch", Subquery(_LAST_OWN))[:1])
#: A batch that is tried again has kept its turn and says nothing of the front, unless all of them are tried again.
_FRONT_UNTRIED = Compiled(lambda: _IN_ORDER.filter(lease_epoch=0).values_list("turn")[:1])


def next_turn(account_id: int, lane: int) -> int:
    """After the account's own waiting batches, and not before the front of everybody's queue."""
    front = _FRONT.row(lane=lane, account=account_id)
    if front is None:
        return 0
    turn, lease_epoch, last_own = front
    if lease_epoch:
        (turn,) = _FRONT_UNTRIED.row(lane=lane) or (turn,)
    return int(max(turn, 0 if last_own is None else last_own + 1))


def set_aside() -> int:
    """Ready batches of campaigns that are paused or not due yet, and of accounts on hold, become `held`; how many.

    Those of cancelled campaigns stay: the sweep closes them.
    """
    may_not = ~MAY_SEND & ~Q(campaign__status=CampaignStatus.CANCELLED)
    with transaction.atomic():
        ready = Batch.objects.filter(may_not, state=BatchState.READY).order_by("pk")  # as `apply` locks them
        found = list(ready.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:AT_ONCE])
        return Batch.objects.filter(pk__in=found, state=BatchState.READY).update(state=BatchState.HELD)


def take_up() -> int:
    """Batches that were set aside and may leave again go to the end of their account's queue; how many."""
    aside = Batch.objects.filter(MAY_SEND, state=BatchState.HELD, release_at=None)
    queues = aside.order_by("account_id", "lane").values_list("account_id", "lane").distinct()
    return sum(_take_up(account_id, lane) for account_id, lane in list(queues))


def _take_up(account_id: int, lane: int) -> int:
    aside = Batch.objects.filter(MAY_SEND, account_id=account_id, lane=lane, state=BatchState.HELD, release_at=None)
    with transaction.atomic():
        locked = aside.order_by("turn", "id").select_for_update(of=("self",), skip_locked=True)
        batches = list(locked.only("turn", "state")[:AT_ONCE])
        first = next_turn(account_id, lane)
        for turn, batch in enumerate(batches, first):
            batch.turn, batch.state = turn, BatchState.READY
        return Batch.objects.bulk_update(batches, ["turn", "state"], batch_size=500)
