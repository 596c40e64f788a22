"""The account under attack pays: what it was charged for is what the provider took."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from accounts.billing import credit
from accounts.billing.prices import PriceList, import_prices
from accounts.models import Account
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.models import Batch
from messaging.outcomes import billing
from tests.chaos.oracle import Entry, Finding, Row, differing

PRICES = PriceList({"": 50_000, "49": 70_000})  # of a segment, in millionths
CREDIT = 10**6 * credit.MICRO


def meter(account_name: str) -> None:
    """Give an account credit that suffices, and prices for everywhere; done once however often it is asked for."""
    account = Account.objects.get(name=account_name)
    rows = [f"{prefix},{credit.amount_of(price)}" for prefix, price in PRICES.prices.items()]
    import_prices(rows, None, account.currency, None)
    if not account.ledger.exists():
        credit.top_up(account, CREDIT, "for the attack", None)
    Account.objects.filter(pk=account.pk).update(is_metered=True)


def is_paid() -> bool:
    """Nothing is to be charged any more, nor to be given back."""
    owed = Batch.objects.filter(billing.UNCHARGED)
    return not (owed.exists() or Campaign.objects.filter(closed_at__isnull=False, reserved_micro__gt=0).exists())


def unbalanced(rows: Sequence[Row], entries: Iterable[Entry] | None) -> list[Finding]:
    """What the books of metered accounts get wrong, once all is paid. `entries`: the provider's ledger."""
    found = [Finding(what) for what in [*billing.disagreements(), *_negative(), *_misadded()]]
    owed = {"by its messages": due_for(rows)}
    if entries is not None:
        owed["by the provider's ledger"] = due_by_ledger(rows, entries)
    for account in Account.objects.filter(is_metered=True):
        spent = CREDIT - account.balance_micro
        found += differing(f"account {account.pk}, spent", dict.fromkeys(owed, spent), owed)
        found += differing(f"account {account.pk}", {"reserved": account.reserved_micro}, {"reserved": 0})
    return found


def due_for(rows: Iterable[Row]) -> int:
    """The price of what we know that the provider took, and did not refuse afterwards. Pure."""
    return sum(_price(row.phone, row.segments) for row in rows if row.is_charged)


def due_by_ledger(rows: Iterable[Row], entries: Iterable[Entry]) -> int:
    """The price of what the provider says it took, but for what is unconfirmed, since nobody pays without proof, and
    what it refused afterwards, which it does not charge. Pure."""
    free = {row.message_id for row in rows if row.status is MessageStatus.UNCONFIRMED}
    free |= {row.message_id for row in rows if row.is_refused and not row.is_charged}
    taken = (entry for entry in entries if entry.times_accepted and entry.message_id not in free)
    return sum(_price(entry.phone, entry.segments) for entry in taken)


def _price(phone: str, segments: int) -> int:
    return segments * (PRICES.price_of(phone) or 0)


def _negative() -> Iterator[str]:
    for account in Account.objects.all():
        if min(account.balance_micro, account.reserved_micro) < 0:
            yield f"account {account.pk} has {account.balance_micro}, and {account.reserved_micro} are reserved"
    for campaign in Campaign.objects.all():
        if min(campaign.charged_micro, campaign.reserved_micro) < 0:
            yield f"{campaign.bulk_id} has cost {campaign.charged_micro}, and {campaign.reserved_micro} are reserved"


def _misadded() -> Iterator[str]:
    """Ledger entries whose credit is not that of the entry before and their own amount."""
    for account in Account.objects.all():
        entries = list(account.ledger.order_by("pk"))
        for entry, total in zip(entries, accumulate(entry.amount_micro for entry in entries), strict=True):
            if entry.balance_micro != total:
                yield f"ledger entry {entry.pk} says {entry.balance_micro}, the sum is {total}"
