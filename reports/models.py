"""Statistics that are kept: messages by account and day."""

from django.db import models

from accounts.choices import Mode
from accounts.models import Account
from campaigns.tally import Tally


class DailyStat(Tally):
    """The messages that an account made on one day, by what has become of them so far.

    The day is that on which their batch was made: a delivery that is reported days later counts for the day of its
    message, so that a day's row always speaks of the same messages and its shares have a meaning. Rows are folded
    from `messaging.StatDelta` (see `folding.py`); with what is not folded yet, they add up to the tallies of the
    batches of that day.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, db_index=False, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode)
    day = models.DateField(help_text="In UTC: the day on which the batches were made.")
    segments = models.IntegerField(default=0, help_text="Of messages that a provider took.")

    class Meta:
        verbose_name_plural = "daily statistics"
        constraints = [
            # folding adds to the row of its key; an account's days are read by it
            models.UniqueConstraint(fields=["account", "mode", "day"], name="daily_stat_once_per_day"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="daily_stat_mode_known"),
        ]

    def __str__(self) -> str:
        return f"{self.day} ({self.mode})"
