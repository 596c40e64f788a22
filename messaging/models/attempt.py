"""Calls of gateways, and refusals in a row."""

from django.db import models

from campaigns.models import Campaign
from messaging.choices import AttemptState
from messaging.models.batch import Batch
from messaging.querysets import AttemptQuerySet
from smsapp.core import clock


class Attempt(models.Model):
    """One HTTP call for a slice of a batch, committed before the call.

        open -> answered | not_sent  by worker
        open -> unknown              by sweep, worker
        unknown -> resolved          by look-up

    Its reference is the provider's `bulkId`, by which a lost answer is looked up.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="attempts")
    gateway = models.CharField(max_length=40)
    reference = models.CharField(max_length=60, unique=True)
    epoch = models.PositiveIntegerField(help_text="The batch's lease epoch under which it was made.")
    first = models.BigIntegerField(help_text="Lowest message number in the call.")
    last = models.BigIntegerField(help_text="Highest message number in the call.")
    message_count = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=AttemptState, default=AttemptState.OPEN)
    started_at = models.DateTimeField(default=clock.about_now)
    deadline = models.DateTimeField(help_text="When the call has ended for certain, answered or not.")
    finished_at = models.DateTimeField(null=True, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True, help_text="What happened, without numbers, texts or keys.")
    lookup_count = models.PositiveSmallIntegerField(default=0)
    next_lookup_at = models.DateTimeField(null=True, blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=AttemptState.values), name="attempt_state_known"),
        ]
        indexes = [
            # looking up unknown calls, gateway by gateway
            models.Index(
                fields=["gateway", "next_lookup_at"],
                name="attempt_to_look_up",
                condition=models.Q(state=AttemptState.UNKNOWN),
            ),
            # sweeping open calls
            models.Index(fields=["deadline"], name="attempt_open", condition=models.Q(state=AttemptState.OPEN)),
            # checking: unknown ones that nobody would look up
            models.Index(
                fields=["id"],
                name="attempt_forgotten",
                condition=models.Q(state=AttemptState.UNKNOWN, next_lookup_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class RefusalRow(models.Model):
    """Messages of a campaign that a gateway refused in a row, for the same reason: `messaging/sending/refusals.py`."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="refusal_rows")
    gateway = models.CharField(max_length=40)
    why = models.CharField(max_length=200, blank=True)
    count = models.PositiveIntegerField(default=0)
    taken = models.BigIntegerField(help_text="What the gateway had taken of the campaign; more ends the row.")

    class Meta:
        verbose_name = "row of refusals"
        verbose_name_plural = "rows of refusals"
        constraints = [models.UniqueConstraint(fields=["campaign", "gateway"], name="refusal_row_once")]

    def __str__(self) -> str:
        return f"{self.count} refused by {self.gateway}: {self.why}"
