"""What was sent is charged: from the segments that each batch's tally says a provider took, at the batch's price.

A batch knows how many of its segments the ledger knows; the difference is posted hourly, and at close with what was
reserved and not needed. So nothing is lost or charged twice whenever a process is killed, and what is proven long
after, or taken back, is posted like anything else. Single sends are gathered: one entry for all that are posted at
once.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from accounts import credit
from accounts.choices import LedgerKind
from accounts.models import Account, LedgerEntry
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from messaging.models import Batch
from smsapp.apart import apart

CAMPAIGNS_AT_ONCE = 200  # in one transaction, all of one account

UNCHARGED = Q(price_micro__gt=0) & ~Q(segments=F("charged_segments"))


def settle() -> int:
    """Post everything that the ledger does not know; how many campaigns."""
    return _settle(Campaign.objects.all())


def settle_closed() -> int:
    """Post what campaigns that are closed still owe, and return what they did not need; how many campaigns."""
    return _settle(Campaign.objects.filter(closed_at__isnull=False))


def _settle(among: QuerySet[Campaign, Campaign]) -> int:
    stop_at = time.monotonic() + settings.TASK_BUDGET
    by_account: defaultdict[int, list[int]] = defaultdict(list)
    uncharged = among.filter(pk__in=Batch.objects.filter(UNCHARGED).values("campaign"))
    unneeded = among.filter(reserved_micro__gt=0, closed_at__isnull=False)
    for rows in (uncharged, unneeded):
        for pk, account_id in rows.values_list("pk", "account_id"):
            by_account[account_id].append(pk)
    done = 0
    for ids in by_account.values():
        found = sorted(set(ids))
        for start in range(0, len(found), CAMPAIGNS_AT_ONCE):
            if time.monotonic() >= stop_at:
                return done
            done += apart(_settle_some, found[start : start + CAMPAIGNS_AT_ONCE]) or 0
    return done


@transaction.atomic
def _settle_some(campaign_ids: Sequence[int]) -> int:
    """Of one account. Batches are locked before campaigns, and both before the account, as everywhere."""
    owed = _take_uncharged(campaign_ids)
    campaigns = list(Campaign.objects.filter(pk__in=campaign_ids).order_by("pk").select_for_update(no_key=True))
    singles = _Gathered()
    for campaign in campaigns:
        segments, amount = owed.get(campaign.pk, (0, 0))
        reserved = min(amount, campaign.reserved_micro)
        if campaign.closed_at is not None:
            reserved = max(0, reserved)  # nothing is reserved any more, so a refund goes to the balance
        campaign.charged_micro += amount
        campaign.reserved_micro -= reserved
        if campaign.kind == CampaignKind.SINGLE and amount:
            singles.add(segments, amount, reserved)
        elif amount:
            credit.post(campaign.account_id, amount, reserved, _words(segments), campaign.pk)
        if campaign.closed_at is not None:
            credit.give_back(campaign.account_id, campaign.reserved_micro)
            campaign.reserved_micro = 0
    if campaigns:
        singles.post(campaigns[0].account_id)
    Campaign.objects.bulk_update(campaigns, ["charged_micro", "reserved_micro"])
    return len(campaigns)


def _take_uncharged(campaign_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Segments and their price by campaign; the batches count them as charged from now on."""
    uncharged = Batch.objects.filter(UNCHARGED, campaign__in=campaign_ids).order_by("pk").select_for_update()
    owed: dict[int, tuple[int, int]] = {}
    ids = []
    columns = ("pk", "campaign_id", "price_micro", "segments", "charged_segments")
    for pk, campaign_id, price, segments, charged in uncharged.values_list(*columns):
        known_segments, known_amount = owed.get(campaign_id, (0, 0))
        more = segments - charged
        owed[campaign_id] = (known_segments + more, known_amount + more * price)
        ids.append(pk)
    for start in range(0, len(ids), 1000):
        Batch.objects.filter(pk__in=ids[start : start + 1000]).update(charged_segments=F("segments"))
    return owed


class _Gathered:
    """Charges and refunds of single sends, each kind in one entry."""

    def __init__(self) -> None:
        self._sums = {True: [0, 0, 0, 0], False: [0, 0, 0, 0]}

    def add(self, segments: int, amount: int, reserved: int) -> None:
        sums = self._sums[amount >= 0]
        for place, value in enumerate((1, segments, amount, reserved)):
            sums[place] += value

    def post(self, account_id: int) -> None:
        for sends, segments, amount, reserved in self._sums.values():
            if sends:
                credit.post(account_id, amount, reserved, f"{sends:,} single sends: {_words(segments)}")


def _words(segments: int) -> str:
    return f"{segments:,} segments"


def disagreements() -> Iterator[str]:
    """Where an account's books contradict one another, in words; nothing if all is well.

    The sum of its ledger is its balance and what is reserved; this is the sum of its campaigns; what the ledger has
    charged is what the campaigns say, and that is what their batches say.
    """
    for account in Account.objects.order_by("pk"):
        entries = LedgerEntry.objects.filter(account=account)
        campaigns = Campaign.objects.filter(account=account)
        charged = entries.filter(kind__in=(LedgerKind.CHARGE, LedgerKind.REFUND))
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
