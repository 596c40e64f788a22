"""Sending it: batches, messages, attempts."""

from datetime import datetime

from django.db import models

from accounts.choices import Mode
from accounts.models import Account
from campaigns.models import Campaign
from campaigns.models.tally import Tally
from messaging import message_text
from messaging.choices import AttemptState, BatchState, Lane, MessageStatus, Reason
from messaging.ids import BATCH_SHIFT, public_id
from messaging.querysets import AttemptQuerySet, BatchQuerySet, MessageQuerySet
from smsapp.core import clock


class Batch(Tally):
    """Up to 1,000 messages of one campaign that leave together: the unit of lease and of calling.

        held -> ready                     by sweep
        held -> unknown | done            by tally
        ready -> leased                   by worker
        ready -> held                     by sweep
        ready -> unknown | done           by tally
        leased -> ready | unknown | done  by sweep, worker
        unknown -> ready | done           by tally

    A lease is (owner, epoch, lease_until): taken by one conditional update that raises the epoch, so a worker
    that wakes up after its lease has ended finds another epoch and can do nothing. Its row is also the lock
    under which its messages change.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="batches")
    chunk = models.PositiveIntegerField(help_text="Number of the audience chunk it was expanded from.")
    part = models.PositiveSmallIntegerField(help_text="Its place among the batches of that chunk.")
    mode = models.CharField(max_length=4, choices=Mode)
    lane = models.PositiveSmallIntegerField(choices=Lane)
    turn = models.PositiveIntegerField(help_text="Its place in its account's own queue, so that accounts alternate.")
    size = models.PositiveSmallIntegerField()
    gateway = models.CharField(
        max_length=40, blank=True, help_text="Where its messages go, or went last. Empty: nobody has chosen yet."
    )
    prefix = models.CharField(max_length=8, blank=True, help_text="What its numbers begin with, as far as routes tell.")
    is_pinned = models.BooleanField(
        default=False, help_text="Its gateway may have all that is queued: nothing of it may go to another one."
    )
    waits_for_canary = models.BooleanField(
        default=False, help_text="The first recipients of its campaign are tried before."
    )
    was_moved = models.BooleanField(default=False, help_text="From one gateway to another, with messages queued.")
    route_note = models.CharField(max_length=200, blank=True, help_text="Why it goes where it goes.")
    price_micro = models.BigIntegerField(
        default=0, help_text="Of one segment, the same for all of its messages, in millionths. 0: free."
    )
    segments = models.IntegerField(default=0, help_text="Of its messages that a provider took, as far as is known.")
    charged_segments = models.IntegerField(default=0, help_text="Of these, how many the ledger knows.")

    state = models.CharField(max_length=8, choices=BatchState, default=BatchState.READY)
    release_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(default=clock.about_now)
    retry_count = models.PositiveSmallIntegerField(default=0, help_text="Calls in a row that were not sent.")
    lease_count = models.PositiveSmallIntegerField(default=0, help_text="Leases in a row that ended without a result.")
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_epoch = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    call_size = models.PositiveSmallIntegerField(default=1000, help_text="Messages in its next call, at most.")
    report_check_at = models.DateTimeField(null=True, blank=True, help_text="When missing reports are looked up.")
    report_check_count = models.PositiveSmallIntegerField(default=0)
    report_deadline = models.DateTimeField(null=True, blank=True, help_text="When missing reports are given up.")
    created_at = models.DateTimeField(default=clock.about_now, editable=False)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["campaign", "chunk", "part"], name="batch_expanded_once"),
            models.CheckConstraint(condition=models.Q(state__in=BatchState.values), name="batch_state_known"),
        ]
        indexes = [
            # leasing: the next ready batches of a lane, in their accounts' turns
            models.Index(
                fields=["lane", "turn", "id"], name="batch_to_lease", condition=models.Q(state=BatchState.READY)
            ),
            # the next turn of an account: the last of its own
            models.Index(
                fields=["lane", "account", "-turn"], name="batch_turn", condition=models.Q(state=BatchState.READY)
            ),
            models.Index(fields=["account", "mode", "-id"], name="batch_list"),  # an account's delivery reports
            # sweeping overdue leases; the console. One state each: SQLite uses no index whose condition names several
            models.Index(fields=["lease_until"], name="batch_leased", condition=models.Q(state=BatchState.LEASED)),
            models.Index(fields=["id"], name="batch_unknown", condition=models.Q(state=BatchState.UNKNOWN)),
            # leasing of one gateway, and moving its batches to another: those of others may stand before them
            models.Index(
                fields=["lane", "gateway", "turn", "id"],
                name="batch_of_gateway",
                condition=models.Q(state=BatchState.READY),
            ),
            # setting aside what may not leave, and taking it up again; releasing what is due
            models.Index(fields=["campaign", "id"], name="batch_ready", condition=models.Q(state=BatchState.READY)),
            models.Index(
                fields=["campaign", "id"],
                name="batch_aside",
                condition=models.Q(state=BatchState.HELD, release_at=None),
            ),
            models.Index(fields=["release_at"], name="batch_release", condition=models.Q(state=BatchState.HELD)),
            # what no route leads to, however much is held for other reasons
            models.Index(
                fields=["campaign", "id"],
                name="batch_roadless",
                condition=models.Q(state=BatchState.HELD, gateway=""),
            ),
            # canaries: what waits for the first recipients
            models.Index(fields=["campaign"], name="batch_waits", condition=models.Q(waits_for_canary=True)),
            # looking up reports that have not come, gateway by gateway, and giving up on those that never came
            models.Index(
                fields=["gateway", "report_check_at"], name="batch_report_check", condition=models.Q(sent__gt=0)
            ),
            models.Index(
                fields=["id"],
                name="batch_unplanned",
                condition=models.Q(sent__gt=0, report_check_at=None, report_check_count=0),
            ),
            models.Index(fields=["report_deadline"], name="batch_report_due", condition=models.Q(sent__gt=0)),
            # settling: what the ledger does not know yet, account by account
            models.Index(
                fields=["account", "campaign", "id"],
                name="batch_uncharged",
                condition=models.Q(price_micro__gt=0) & ~models.Q(segments=models.F("charged_segments")),
            ),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}"


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
        max_length=20, choices=Reason, default="", blank=True,
        help_text="Why it ended so; of one that is sent: how far it is known to have come.",
    )  # fmt: skip
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
