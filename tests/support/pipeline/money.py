"""Accounts that pay, and what their books say."""

from django.utils import timezone

from accounts.billing import credit
from accounts.choices import LedgerKind
from accounts.models import Account, LedgerEntry
from campaigns import services as campaign_services
from campaigns.models import Campaign
from messaging.outcomes import billing
from tests.support.factories import AccountFactory

CENT = credit.MICRO // 100


def metered(cents: int, **options) -> Account:
    account = AccountFactory(is_metered=True, **options)
    if cents:
        credit.top_up(account, cents * CENT, "for the test", None)
    return account


def books(account: Account) -> tuple[int, int, int]:
    """Balance, reserved and charged, in cents; the books agree."""
    account.refresh_from_db()
    assert list(billing.disagreements()) == []
    kinds = (LedgerKind.CHARGE, LedgerKind.REFUND)
    charged = -sum(LedgerEntry.objects.filter(account=account, kind__in=kinds).values_list("amount_micro", flat=True))
    return account.balance_micro // CENT, account.reserved_micro // CENT, charged // CENT


def settle(campaign: Campaign) -> Campaign:
    campaign_services.settle_status([campaign.pk], timezone.now())
    billing.settle_closed()
    campaign.refresh_from_db()
    return campaign
