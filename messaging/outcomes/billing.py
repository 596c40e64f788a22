"""Charges for what was sent: the segments a provider accepted, by each batch's tally, at the batch's price.

A batch knows how many of its segments the ledger knows. The difference is posted hourly, and at close together with
what was reserved and not needed. So nothing is lost or charged twice whenever a process is killed, and what is proven
long after, or taken back, is posted like anything else. Single sends are posted within seconds. Each send and campaign
has its own ledger entries.

Accounts take turns: some hundred batches of one in a transaction of a few statements, then of the next, so that no
account waits for all of another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from accounts.billing import credit
from accounts.choices import LedgerKind
from accounts.models import Account, LedgerEntry
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from messaging.models import Batch
from messaging.querysets import each_value
from messaging.storage import counters
from smsapp.core.budget import Budget
from smsapp.core.enqueue import enqueue
from smsapp.core.isolation import run_isolated

BATCHES_AT_ONCE = 1000  # batches in one transaction, all of one account
ACCOUNTS_AT_ONCE = 500  # accounts in one task
PAUSE = 1.0  # seconds until an unfinished task goes on: its workers have deadlines to keep

UNCHARGED = Q(price_micro__gt=0) & ~Q(segments=F("charged_segments"))
UNNEEDED = Q(reserved_micro__gt=0, closed_at__isnull=False)


class _Round:
    """The position of this process: the next round begins behind the account that came last in this one."""

    last_account = 0


_round = _Round()


class _Cursor(NamedTuple):
    """The position in an account's uncharged batches in this round."""

    account_id: int
    campaign_id: int = 0
    batch_id: int = 0


class _Step(NamedTuple):
    """`posted`: campaigns. `cursor`: where to go on; None at the end."""

    posted: int
    cursor: _Cursor | None


class _Owed(NamedTuple):
    """What the ledger does not know of one campaign."""

    segments: int
    amount: int


def settle() -> int:
    """Post everything that the ledger does not know. Return the number of campaigns."""
    return _settle(_settle_some, "messaging.settle_credit")


def settle_closed() -> int:
    """Post what single sends and closed campaigns owe, and return what they did not need. Return how many campaigns."""
    return _settle(_settle_some_closed, "messaging.settle_closed")


def _settle(settle_some: Callable[[_Cursor], _Step], task: str) -> int:
    budget = Budget(settings.TASK_BUDGET)
    cursors = [_Cursor(account_id) for account_id in _accounts()]
    posted = 0
    while cursors:
        following: list[_Cursor] = []
        for cursor in cursors:
            if budget.is_over:
                enqueue(task, after=PAUSE)
                return posted
            _round.last_account = cursor.account_id
            if step := run_isolated(settle_some, cursor):
                posted += step.posted
                following += [step.cursor] if step.cursor else []
        cursors = following
    return posted


def _accounts() -> Iterator[int]:
    """Yield accounts that may have something to post, those behind the last account of the previous round first."""
    for part in (Q(account__gt=_round.last_account), Q(account__lte=_round.last_account)):
        owing = islice(each_value(Batch.objects.filter(part, UNCHARGED), "account_id"), ACCOUNTS_AT_ONCE)
        holding = islice(each_value(Campaign.objects.filter(part, UNNEEDED), "account_id"), ACCOUNTS_AT_ONCE)
        yield from sorted({*owing, *holding})


@transaction.atomic
def _settle_some(cursor: _Cursor) -> _Step:
    """Post the next batches of an account; behind the last of them, return what closed campaigns did not need.

    Batches are locked before campaigns, and both before the account, as everywhere.
    """
    found = _find_uncharged(cursor)
    if found:
        return _Step(_post(cursor.account_id, _take_uncharged([pk for _, pk in found])), _behind(cursor, found))
    given = _give_back(cursor.account_id)
    return _Step(given, cursor if given == BATCHES_AT_ONCE else None)


@transaction.atomic
def _settle_some_closed(cursor: _Cursor) -> _Step:
    """Do the same without bulk campaigns that are not closed: they get an entry every hour."""
    found = _find_uncharged(cursor)
    if not found:
        return _settle_some(cursor)
    ended = Q(closed_at__isnull=False) | Q(kind=CampaignKind.SINGLE)
    campaigns = Campaign.objects.filter(ended, pk__in={campaign_id for campaign_id, _ in found})
    due = set(campaigns.values_list("pk", flat=True))
    owed = _take_uncharged([pk for campaign_id, pk in found if campaign_id in due])
    return _Step(_post(cursor.account_id, owed), _behind(cursor, found))


def _find_uncharged(cursor: _Cursor) -> list[tuple[int, int]]:
    """Return campaign and key of an account's next uncharged batches."""
    seen = Q(campaign=cursor.campaign_id, pk__lte=cursor.batch_id)
    rows = Batch.objects.filter(UNCHARGED, ~seen, account=cursor.account_id, campaign__gte=cursor.campaign_id)
    return list(rows.order_by("campaign_id", "pk").values_list("campaign_id", "pk")[:BATCHES_AT_ONCE])


def _behind(cursor: _Cursor, found: Sequence[tuple[int, int]]) -> _Cursor:
    return _Cursor(cursor.account_id, *found[-1])


def _take_uncharged(batch_ids: Sequence[int]) -> dict[int, _Owed]:
    """Mark batches as charged. Return what is owed, by campaign."""
    uncharged = Batch.objects.filter(UNCHARGED, pk__in=batch_ids).order_by("pk").select_for_update()
    owed: dict[int, _Owed] = {}
    ids = []
    columns = ("pk", "campaign_id", "price_micro", "segments", "charged_segments")
    for pk, campaign_id, price, segments, charged in uncharged.values_list(*columns):
        known, more = owed.get(campaign_id, _Owed(0, 0)), segments - charged
        owed[campaign_id] = _Owed(known.segments + more, known.amount + more * price)
        ids.append(pk)
    Batch.objects.filter(pk__in=ids).update(charged_segments=F("segments"))
    return owed


def _post(account_id: int, owed: Mapping[int, _Owed]) -> int:
    """Charge an account's campaigns what they owe. Return their number.

    The account's row, which sending waits for, is locked at the very end.
    """
    rows = Campaign.objects.filter(pk__in=owed.keys()).order_by("pk").select_for_update(no_key=True)
    moves, entries = [], []
    for pk, closed_at, held in rows.values_list("pk", "closed_at", "reserved_micro"):
        segments, amount = owed[pk]
        reserved = min(amount, held)
        if closed_at is not None:
            reserved = max(0, reserved)  # nothing is reserved any more, so a refund goes to the balance
        moves.append((pk, amount, reserved))
        if amount:
            entries.append(credit.Charge(amount, reserved, _words(segments), pk))
    counters.charge_campaigns(moves)
    if entries:
        credit.post(account_id, entries)
    return len(moves)


def _give_back(account_id: int) -> int:
    """Return what closed campaigns hold and do not need, once everything they owe is posted. Return their number."""
    owing = Batch.objects.filter(UNCHARGED, account=account_id, campaign=OuterRef("pk"))
    unneeded = Campaign.objects.filter(UNNEEDED, ~Exists(owing), account=account_id).order_by("pk")
    held = dict(unneeded.select_for_update(no_key=True).values_list("pk", "reserved_micro")[:BATCHES_AT_ONCE])
    Campaign.objects.filter(pk__in=held.keys()).update(reserved_micro=0)
    credit.give_back(account_id, sum(held.values()))
    return len(held)


def _words(segments: int) -> str:
    return "1 segment" if segments == 1 else f"{segments:,} segments"


def disagreements() -> Iterator[str]:
    """Yield where an account's books contradict one another, in words; nothing if all is well.

    The sum of its ledger is its balance and what is reserved; this is the sum of its campaigns; what the ledger has
    charged is what the campaigns say, and that is what their batches say.
    """
    for account in Account.objects.order_by("pk"):
        entries = LedgerEntry.objects.filter(account=account)
        campaigns = Campaign.objects.filter(account=account)
        charged = entries.filter(kind__in=(LedgerKind.CHARGE, LedgerKind.REFUND), refund_of=None)
        by_batch = Batch.objects.filter(campaign__account=account, price_micro__gt=0)
        in_batches = by_batch.aggregate(sum=Coalesce(Sum(F("charged_segments") * F("price_micro")), 0))["sum"]
        pairs = (
            ("credit", account.balance_micro + account.reserved_micro, _sum(entries, "amount_micro"), "ledger"),
            ("reserve", account.reserved_micro, _sum(campaigns, "reserved_micro"), "campaigns' reserves"),
            ("charges", -_sum(charged, "amount_micro"), _sum(campaigns, "charged_micro"), "campaigns' charges"),
            ("charged segments", in_batches, _sum(campaigns, "charged_micro"), "campaigns' charges"),
        )
        for name, stated, true, whose in pairs:
            if stated != true:
                yield f"account {account.pk}: its {name} is {stated}, the {whose} say {true}"


def _sum(rows: QuerySet[LedgerEntry] | QuerySet[Campaign], field: str) -> int:
    return int(rows.aggregate(sum=Coalesce(Sum(field), 0))["sum"])
