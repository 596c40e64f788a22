"""Prepaid credit. Money is integers: millionths of the account's currency.

    reserve     balance -> reserved        nothing is sent that was not reserved, by one conditional update
    give_back   reserved -> balance
    post        reserved -> spent, or back: a ledger entry
    top_up, correct                        a ledger entry
    refund      of a charge, back          a ledger entry, which names the charge

So at any moment: the sum of an account's ledger = its balance + what is reserved. `messaging/outcomes/billing.py`
says when what is posted; its `disagreements` holds the books against one another.
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.choices import EventType, LedgerKind, Mode
from accounts.models import Account, LedgerEntry, User
from accounts.security import audit, own_keys
from accounts.webhooks import emit
from smsapp.core.exceptions import AlreadyExists, InsufficientCredit, ValidationError
from smsapp.lib.sentences import Sentence

MICRO = 1_000_000


class _Funds(NamedTuple):
    """An account's money after a movement."""

    balance: int
    reserved: int
    low_balance: int
    currency: str


class Charge(NamedTuple):
    """What a campaign owes: `amount`, of which `reserved` was set aside.

    The rest comes from the balance, even below zero: the message was sent. Negative amounts put money back where it
    came from.
    """

    amount: int
    reserved: int
    note: str
    campaign_id: int | None = None


def entry_id(entry: LedgerEntry) -> str:
    """Return the public id of a ledger entry, always the same. A running number would count those of all accounts."""
    key = own_keys.key(own_keys.ENTRIES).encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    return f"led-{hashlib.blake2b(str(entry.pk).encode(), key=key, digest_size=8).hexdigest()}"


def amount_of(micro: int) -> Decimal:
    """Return millionths as an amount with six decimals."""
    return (Decimal(micro) / MICRO).quantize(Decimal("0.000001"))


def reserve(account: Account, amount: int) -> None:
    """Reserve credit, in the transaction that accepts what it is for. Raises InsufficientCredit.

    Exact under any concurrency: the account's row is locked until that transaction ends.
    """
    if amount and _move(account.pk, -amount, amount, at_least=amount) is None:
        available = Account.objects.values_list("balance_micro", flat=True).get(pk=account.pk)
        raise InsufficientCredit(
            _("There is not enough credit for this."),
            needed=str(amount_of(amount)),
            available=str(amount_of(available)),
            currency=account.currency,
        )


def give_back(account_id: int, amount: int) -> None:
    """Return what was reserved and not needed."""
    if amount:
        _move(account_id, amount, -amount)


def post(account_id: int, charges: Sequence[Charge]) -> None:
    """Add a ledger entry for each of these charges, and move their sum in one step."""
    amount, reserved = sum(one.amount for one in charges), sum(one.reserved for one in charges)
    funds = _move(account_id, reserved - amount, -reserved)
    assert funds is not None
    after = [funds.balance + funds.reserved + amount - spent for spent in accumulate(one.amount for one in charges)]
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            account_id=account_id,
            kind=LedgerKind.CHARGE if one.amount >= 0 else LedgerKind.REFUND,
            amount_micro=-one.amount,
            balance_micro=credit,
            campaign_id=one.campaign_id,
            note=one.note[:200],
        )
        for one, credit in zip(charges, after, strict=True)
    )


def top_up(account: Account, amount: int, reason: str, by: User | None, token: str | None = None) -> LedgerEntry:
    """Add credit. With the same `token` of the request it is booked once.

    Raises ValidationError unless the amount is above zero and a reason is given, AlreadyExists for a used token.
    """
    if amount <= 0:
        raise ValidationError(_("Enter an amount above zero."), "amount", str(amount_of(amount)))
    return _change(account, LedgerKind.TOP_UP, amount, reason, by, token)


def correct(account: Account, amount: int, reason: str, by: User | None, token: str | None = None) -> LedgerEntry:
    """Add or take away credit by hand. `token` as in `top_up`.

    Raises ValidationError without an amount or a reason, or if the balance would become negative; AlreadyExists for a
    used token.
    """
    if not amount:
        raise ValidationError(_("Enter an amount other than zero."), "amount", "0")
    return _change(account, LedgerKind.CORRECTION, amount, reason, by, token)


def refund(charge: LedgerEntry, amount: int, reason: str, by: User | None, token: str | None = None) -> LedgerEntry:
    """Give back a charge or a part of it, never more than it was. `token` as in `top_up`.

    Raises ValidationError for anything but a charge, or more than is left of it; AlreadyExists for a used token.
    """
    if amount <= 0:
        raise ValidationError(_("Enter an amount above zero."), "amount", str(amount_of(amount)))
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=charge.account_id)  # refunds are counted one by one
        if amount > (left := refundable(charge)):
            most = Sentence(
                gettext_noop("At most %(amount)s of this charge can be refunded."), amount=f"{amount_of(left)}"
            )
            raise ValidationError(most, "amount", str(amount_of(amount)))
        return _change(charge.account, LedgerKind.REFUND, amount, reason, by, token, charge)


def refundable(charge: LedgerEntry) -> int:
    """Return what can still be given back of a charge; 0 for any other entry."""
    if charge.kind != LedgerKind.CHARGE:
        return 0
    given = charge.refunds.aggregate(total=Sum("amount_micro"))["total"] or 0
    return max(-charge.amount_micro - given, 0)


def _change(
    account: Account,
    kind: LedgerKind,
    amount: int,
    reason: str,
    by: User | None,
    token: str | None,
    refund_of: LedgerEntry | None = None,
) -> LedgerEntry:
    reason = reason.strip()
    if not reason:
        raise ValidationError(_("Enter a reason."), "reason", "")
    if abs(amount) > settings.CREDIT_MAX_AMOUNT * MICRO:
        most = Sentence(gettext_noop("At most %(max)s can be booked at once."), max=f"{settings.CREDIT_MAX_AMOUNT:,}")
        raise ValidationError(most, "amount", str(amount_of(amount)))
    with transaction.atomic():
        funds = _move(account.pk, amount, 0, at_least=max(0, -amount) or None)
        if token and LedgerEntry.objects.filter(token=token).exists():  # the first caller has released the account
            raise AlreadyExists(_("This was already booked."), "token", token)
        if funds is None:
            raise ValidationError(_("The account does not have that much credit."), "amount", str(amount_of(amount)))
        entry = LedgerEntry.objects.create(
            account=account,
            kind=kind,
            amount_micro=amount,
            balance_micro=funds.balance + funds.reserved,
            campaign_id=refund_of.campaign_id if refund_of else None,
            note=reason[:200],
            user=by,
            token=token or None,
            refund_of=refund_of,
        )
        audit.record(
            f"credit.{kind.value}",
            account=account,
            by=by,
            target_type="ledger_entry",
            target_id=str(entry.pk),
            before={"balance": str(amount_of(funds.balance - amount))},
            after={"balance": str(amount_of(funds.balance)), "reason": entry.note}
            | ({"charge": str(refund_of.pk)} if refund_of else {}),
        )
    return entry


def _move(account_id: int, balance: int, reserved: int, at_least: int | None = None) -> _Funds | None:
    """Add to balance and reserve. Return None if the balance is not `at_least` so much.

    Falling below its threshold notifies the account, once.
    """
    condition, values = ("", []) if at_least is None else (" AND balance_micro >= %s", [at_least])
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Account._meta.db_table} "  # noqa: S608
            "SET balance_micro = balance_micro + %s, reserved_micro = reserved_micro + %s "
            f"WHERE id = %s{condition} RETURNING balance_micro, reserved_micro, low_balance_micro, currency",
            [balance, reserved, account_id, *values],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    funds = _Funds(*row)
    if funds.balance < funds.low_balance <= funds.balance - balance:
        told = {
            "balance": str(amount_of(funds.balance)),
            "low_balance_threshold": str(amount_of(funds.low_balance)),
            "currency": funds.currency,
        }
        emit(account_id, Mode.LIVE, EventType.BALANCE_LOW, told)
    return funds
