"""Why a page offers no sending: the credit would not cover it. `credit.reserve` decides; this says so before."""

from decimal import Decimal

from django.utils.translation import gettext as _

from accounts.billing.credit import amount_of
from accounts.choices import Mode
from accounts.models import Account


def shortfall(account: Account, mode: str, price: Decimal | None = None) -> str:
    """Return the reason, empty if there is none. `price`: in the account's currency, None while it is not known."""
    if not account.is_metered or mode != Mode.LIVE:
        return ""
    balance = amount_of(account.balance_micro)
    words = {"balance": _written(balance), "price": _written(price or Decimal()), "currency": account.currency}
    if price is None:
        return "" if balance > 0 else _("The balance is %(balance)s %(currency)s: nothing can be sent.") % words
    if not price or price <= balance:
        return ""
    return _("Not enough credit: this costs %(price)s %(currency)s, the balance is %(balance)s %(currency)s.") % words


def _written(amount: Decimal) -> str:
    """Return an amount with cents, and with parts of a cent if there are any."""
    return f"{amount:,.2f}" if amount == round(amount, 2) else f"{amount.normalize():,f}"
