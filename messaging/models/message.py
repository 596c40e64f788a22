"""One text to one number."""

from datetime import datetime

from django.db import models

from campaigns.models import Campaign
from messaging import message_text
from messaging.choices import MessageStatus, Reason
from messaging.ids import BATCH_SHIFT, public_id
from messaging.querysets import MessageQuerySet


class Message(models.Model):
    """One SMS to one recipient.

        queued -> sent | delivered | undelivered | unconfirmed | rejected  by answer, lookup, poll, push
        queued -> unknown                                                  by answer, deadline
        queued -> failed | expired | cancelled | suppressed                by decision
        unknown -> sent | delivered | undelivered | rejected               by answer, lookup, poll, push
        unknown -> queued                                                  by decision
        unknown -> unconfirmed                                             by answer, deadline, lookup, poll, push
        sent -> delivered                                                  by answer, lookup, poll, push
        sent -> undelivered                                                by answer, lookup, poll, push, refusal
        sent -> unconfirmed                                                by answer, deadline, lookup, poll, push
        unconfirmed -> sent | delivered | rejected                         by answer, lookup, poll, push
        unconfirmed -> undelivered                                         by answer, lookup, poll, push, refusal
        undelivered -> delivered                                           by answer, lookup, poll, push

    `rejected`: the provider refused it. `unconfirmed`: nobody can say, or no report of the outcome ever came. The
    table itself, ranks and the two corrections: `messaging/choices.py`. "Sending" is not stored: it is shown
    while an open Attempt spans the message.

    The table is narrow on purpose: no status index (it would make every update non-HOT), no foreign key
    constraint (2.3 times slower to load), the text once on the campaign and the values per row. The customer's
    columns (`message_id`, `message`, `error_message` …) are properties here, fields in the API and columns of
    the view `sms_messages`.
    """

    id = models.BigIntegerField(primary_key=True)
    campaign = models.ForeignKey(
        Campaign, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="messages"
    )
    row = models.IntegerField(help_text="Number of the row in the file, or place in the request (from 1).")
    phone_number = models.CharField(max_length=16)
    variables = models.TextField(default="", help_text="JSON array of the row's values; empty if the text needs none.")
    status = models.SmallIntegerField(choices=MessageStatus, default=MessageStatus.QUEUED)
    reason = models.CharField(
        max_length=20,
        choices=Reason,
        default="",
        blank=True,
        help_text="Why it ended so; of one that is sent: how far it is known to have come.",
    )
    detail = models.CharField(max_length=120, default="", blank=True, help_text="What the reason names, or the code.")
    segment_count = models.SmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When the provider took it.")
    done_at = models.DateTimeField(null=True, blank=True, help_text="When it reached its last state.")

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            # a range: for a list SQLite builds a table of its own at every row, which is half of what an insert costs
            models.CheckConstraint(
                condition=models.Q(status__range=(min(MessageStatus), max(MessageStatus))), name="message_status_known"
            ),
        ]
        indexes = [
            # the one secondary index: search by number, erasure, frequency caps, matching of replies
            models.Index(fields=["phone_number", "id"], name="message_phone"),
        ]

    def __str__(self) -> str:
        return self.message_id

    @property
    def message_id(self) -> str:
        return public_id(self.id)

    @property
    def batch_id(self) -> int:
        return self.id >> BATCH_SHIFT

    @property
    def sender_id(self) -> str:
        return self.campaign.sender_id

    @property
    def text(self) -> str:
        """The final text, as it was or will be handed over; the template where a value is missing."""
        return message_text.text_of(self)

    @property
    def message(self) -> str:
        """The customer's name for the text."""
        return self.text

    @property
    def delivered_at(self) -> datetime | None:
        return self.done_at if self.status == MessageStatus.DELIVERED else None

    @property
    def error_message(self) -> str:
        """The reason in words, with what it names; empty when nothing went wrong, or has yet."""
        if not self.reason or self.status == MessageStatus.SENT:
            return ""
        words = str(Reason(self.reason).label)
        return f"{words} ({self.detail})" if self.detail else words
