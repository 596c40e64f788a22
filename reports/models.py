"""Statistics that are kept: messages by account and day, and by what is asked of them."""

from django.db import models

from accounts.choices import Mode
from accounts.models import Account
from campaigns.models.tally import Tally


class DailyStat(Tally):
    """Messages that an account made on one day, with one sender and by one gateway, by what has become of them so far.

    The day is that on which their batch was made: a delivery that is reported days later counts for the day of its
    message, so that a day's row always speaks of the same messages and its shares have a meaning. Rows are folded
    from `messaging.StatDelta` (see `rollup.py`); with what is not folded yet, they add up to the tallies of the
    batches of that day.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode)
    day = models.DateField(help_text="In UTC: the day on which the batches were made.")
    sender_id = models.CharField(max_length=16, blank=True, help_text="Empty: the provider chose.")
    gateway = models.CharField(
        max_length=40,
        blank=True,
        help_text="That the batch had when its messages changed: of what was moved, both have a share of `queued`.",
    )
    segments = models.IntegerField(default=0, help_text="Of messages that a provider took.")
    spent_micro = models.BigIntegerField(default=0, help_text="What these segments cost the account, in millionths.")

    class Meta:
        verbose_name_plural = "daily statistics"
        constraints = [
            # folding adds to the row of its key; an account's days are read by it
            models.UniqueConstraint(fields=["account", "mode", "day", "sender_id", "gateway"], name="daily_stat_once"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="daily_stat_mode_known"),
        ]

    def __str__(self) -> str:
        return f"{self.day} ({self.mode})"


class DailyCountry(models.Model):
    """To how many numbers of a country an account made messages on one day. What became of them is not known by
    country: the messages of a batch go to many."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode)
    day = models.DateField(help_text="In UTC: the day on which the batches were made.")
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166; empty: of none.")
    messages = models.IntegerField(default=0)

    class Meta:
        verbose_name_plural = "daily countries"
        constraints = [
            models.UniqueConstraint(fields=["account", "mode", "day", "country"], name="daily_country_once"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="daily_country_mode_known"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.country or '-'} ({self.mode})"
