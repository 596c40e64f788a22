"""Accounts take turns, and batches that may not leave are deferred.

A batch's `turn` is its position in its account's own queue; dispatch takes the lowest first. A newcomer starts level
with the front of all queues and never before it, so an account's earlier silence is not held against the others.

Leasing reads the ready batches in that order, so it would read a paused campaign's thousands at every lease. The sweep
defers what may not leave (without a release time), and requeues it with new turns once it may. Nothing depends on how
soon that happens: leasing itself checks campaign and account.
"""

from django.db import transaction
from django.db.models import Subquery

from accounts.models import Account
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import BatchState, Lane
from messaging.models import Batch
from messaging.querysets import MAY_SEND
from messaging.sending.canary import OPEN
from smsapp.database.prepared_query import Compiled, Slot

AT_ONCE = 2000  # batches of an account and lane that are requeued in one transaction
_WAITING = Batch.objects.filter(MAY_SEND, state=BatchState.READY, lane=Slot("lane"))
_LAST_OWN = _WAITING.filter(account_id=Slot("account")).order_by("-turn").values("turn")[:1]
_IN_ORDER = _WAITING.order_by("turn", "id")
#: The turn that dispatch has reached, how often its batch was tried, and the last turn of the account itself.
_FRONT = Compiled(lambda: _IN_ORDER.values_list("turn", "lease_epoch", Subquery(_LAST_OWN))[:1])
#: A retried batch keeps its turn and says nothing about the front, unless every batch is a retry.
_FRONT_UNTRIED = Compiled(lambda: _IN_ORDER.filter(lease_epoch=0).values_list("turn")[:1])


def next_turn(account_id: int, lane: int) -> int:
    """Return a turn after the account's own waiting batches, and not before the front of all queues."""
    front = _FRONT.row(lane=lane, account=account_id)
    if front is None:
        return 0
    turn, lease_epoch, last_own = front
    if lease_epoch:
        (turn,) = _FRONT_UNTRIED.row(lane=lane) or (turn,)
    return int(max(turn, 0 if last_own is None else last_own + 1))


def set_aside() -> int:
    """Defer ready batches that may not leave. Return the number of batches.

    These are batches of campaigns that do not run (cancelled ones too, since the sweep closes them bit by bit), of
    canaries, of suspended accounts, and those without a gateway (`unrouted.py`). The query goes by campaign and
    account, so batches that may leave are not read, however many there are.
    """
    stopped = Campaign.objects.filter(closed_at=None, queued__gt=0).exclude(status=CampaignStatus.RUNNING)
    trying = Campaign.objects.filter(closed_at=None, canary_state__in=OPEN)
    suspended = list(Account.objects.filter(is_active=False).values_list("pk", flat=True))
    ready = Batch.objects.filter(state=BatchState.READY)
    may_not_leave = (
        ready.filter(campaign__in=stopped.values("pk")),
        ready.filter(campaign__in=trying.values("pk"), waits_for_canary=True),
        *(ready.filter(lane=lane, account__in=suspended) for lane in Lane),
        *(ready.filter(lane=lane, gateway="") for lane in Lane),
    )
    return sum(some.update_unlocked(state=BatchState.DEFERRED) for some in may_not_leave)


def requeue() -> int:
    """Put deferred batches that may leave again at the end of their account's queue. Return the number of batches."""
    running = Campaign.objects.filter(closed_at=None, status=CampaignStatus.RUNNING, account__is_active=True)
    aside = Batch.objects.filter(campaign__in=running.values("pk"), state=BatchState.DEFERRED, release_at=None)
    aside = aside.filter(waits_for_canary=False).exclude(gateway="")
    queues = aside.values_list("account_id", "lane")[:AT_ONCE]
    return sum(_requeue_account(account_id, lane) for account_id, lane in sorted(set(queues)))


def _requeue_account(account_id: int, lane: int) -> int:
    aside = Batch.objects.filter(MAY_SEND, account_id=account_id, lane=lane, state=BatchState.DEFERRED, release_at=None)
    aside = aside.exclude(gateway="")
    with transaction.atomic():
        locked = aside.order_by("turn", "id").select_for_update(of=("self",), skip_locked=True)
        batches = list(locked.only("turn", "state")[:AT_ONCE])
        first = next_turn(account_id, lane)
        for turn, batch in enumerate(batches, first):
            batch.turn, batch.state = turn, BatchState.READY
        return Batch.objects.bulk_update(batches, ["turn", "state"], batch_size=500)
