"""What a message costs an account, and what happens to its credit. Money is integers: millionths of the currency."""

from django.db import models

from accounts.choices import LedgerKind
from accounts.models.people import Account, User


class Price(models.Model):
    """The price of one segment to numbers with this prefix; the longest matching prefix counts."""

    account = models.ForeignKey(
        Account,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="prices",
        help_text="Empty: the price list of every account without a price of its own.",
    )
    prefix = models.CharField(max_length=15, blank=True, help_text="Digits after the plus; empty: everywhere else.")
    currency = models.CharField(max_length=3, default="EUR")
    price_micro = models.BigIntegerField(help_text="Of one segment, in millionths of the currency.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "currency", "prefix"], name="price_once"),
            models.UniqueConstraint(
                fields=["currency", "prefix"], name="general_price_once", condition=models.Q(account=None)
            ),
            models.CheckConstraint(condition=models.Q(price_micro__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"+{self.prefix}: {self.price_micro / 1_000_000:g} {self.currency}"


class LedgerEntry(models.Model):
    """One movement of an account's money. Only ever added; their sum is its balance and what is reserved of it.

    Reserving for a campaign, and giving back what it did not need, moves nothing: `Account.reserved_micro`.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="ledger")
    kind = models.CharField(max_length=10, choices=LedgerKind)
    amount_micro = models.BigIntegerField(help_text="Signed: what it adds to the credit.")
    balance_micro = models.BigIntegerField(help_text="The credit after it, with what is reserved.")
    campaign_id = models.BigIntegerField(null=True, blank=True, help_text="The campaign it belongs to.")
    note = models.CharField(max_length=200, blank=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    refund_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="refunds",
        editable=False,
        help_text="The charge that an operator gave back, or a part of it.",
    )
    token = models.CharField(
        max_length=64, null=True, blank=True, unique=True, editable=False, help_text="Of the form it was booked with."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=LedgerKind.values), name="ledger_entry_kind_known"),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="ledger_list"),  # the customer's ledger, newest first
            models.Index(fields=["campaign_id"], name="ledger_campaign", condition=models.Q(campaign_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount_micro / 1_000_000:+g}"


class DailyUse(models.Model):
    """Messages one account had accepted on one day (UTC): what a daily limit is held against."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    spent_micro = models.BigIntegerField(default=0, help_text="Of accounts with a spending limit, in millionths.")
    message_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "day"], name="daily_use_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.message_count}"
