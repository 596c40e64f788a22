"""What came back: bodies as they came, what they changed, and what that adds up to."""

from django.db import models

from campaigns.models.tally import Tally
from messaging.choices import FactSource, MessageStatus, Reason
from messaging.models.message import Message
from smsapp.core import clock


class ReportInbox(models.Model):
    """One body of delivery reports as it came, committed before the provider is told 200."""

    gateway = models.CharField(max_length=40)
    source = models.CharField(max_length=8, choices=FactSource)
    body = models.BinaryField()
    received_at = models.DateTimeField(default=clock.about_now, editable=False)
    applied_at = models.DateTimeField(null=True, blank=True)
    report_count = models.PositiveIntegerField(default=0)
    unmatched_count = models.PositiveIntegerField(default=0, help_text="Reports that found no message.")
    failure_count = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=clock.about_now)
    rematch_at = models.DateTimeField(null=True, blank=True, help_text="When its unmatched reports are tried again.")
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "report inbox"
        indexes = [
            models.Index(fields=["rematch_at"], name="inbox_unmatched", condition=models.Q(rematch_at__isnull=False)),
            # applying: in the order in which they are taken, so that a backlog is not read to find its first
            models.Index(fields=["next_attempt_at", "id"], name="inbox_waiting", condition=models.Q(applied_at=None)),
            models.Index(fields=["received_at"], name="inbox_age"),  # purging
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.source} {self.received_at:%Y-%m-%d %H:%M:%S}"


class DeliveryReport(models.Model):
    """One change of a message that a report, a look-up or a refusing answer made. Never edited."""

    message = models.ForeignKey(
        Message, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="reports"
    )
    status = models.SmallIntegerField(choices=MessageStatus)
    reason = models.CharField(max_length=20, choices=Reason, default="", blank=True)
    source = models.CharField(max_length=8, choices=FactSource)
    provider_status = models.CharField(max_length=60, blank=True, help_text="The provider's own status name.")
    error_code = models.CharField(max_length=20, blank=True)
    error_description = models.CharField(max_length=200, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True, help_text="Whole message.")
    currency = models.CharField(max_length=3, blank=True)
    done_at = models.DateTimeField(null=True, blank=True, help_text="The provider's time of the event.")
    received_at = models.DateTimeField(default=clock.about_now)

    class Meta:
        db_table = "delivery_reports"
        indexes = [
            models.Index(fields=["message", "id"], name="delivery_report_message"),  # a message's timeline
        ]

    def __str__(self) -> str:
        return f"{self.get_status_display()} ({self.provider_status})"


class StatDelta(Tally):
    """What one transaction changed in the tally of one batch, written by the transaction itself.

    Statistics are folded from these rows, which are then removed: nothing ever has to scan messages for them. Over
    rows and folded statistics together every tally adds up to that of the batches. Rows are only ever added, so
    that writers never wait for one another.
    """

    batch_id = models.BigIntegerField()
    segments = models.IntegerField(default=0, help_text="Of messages that a provider took, or by proof did not.")

    def __str__(self) -> str:
        return f"batch {self.batch_id}"
