"""Campaigns. Every message belongs to one, a single send too."""

from django.conf import settings
from django.db import models

from accounts.choices import Mode
from accounts.models import Account
from campaigns.choices import CampaignKind, CampaignStatus, CanaryState, PauseReason
from campaigns.models.recurring import RecurringCampaign
from campaigns.models.tally import Tally
from campaigns.models.titled import Titled
from campaigns.querysets import CampaignQuerySet
from smsapp.core.sentences import SentenceField
from uploads.models import Audience


class Campaign(Titled, Tally):
    """One text, one audience, one schedule.

        draft -> awaiting_approval | running                          by person, pipeline
        draft -> scheduled | cancelled                                by person
        awaiting_approval -> draft | scheduled | running | cancelled  by person
        scheduled -> draft | paused | cancelled                       by person
        scheduled -> running | missed | awaiting_approval             by clock
        running -> paused                                             by person, pipeline
        running -> cancelled                                          by person
        running -> completed | failed                                 by pipeline
        paused -> running | scheduled | cancelled                     by person
        missed -> scheduled | running | cancelled                     by person

    The table itself is `choices.CAMPAIGN`. `completed` means that nothing is left to submit; `closed_at` is set when
    the last delivery report has come or its deadline has passed. Only the pipeline changes the counters, in the
    transaction that changes the messages; they are never counted from rows.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="campaigns")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="campaigns")
    kind = models.CharField(max_length=6, choices=CampaignKind)
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    bulk_id = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    message = models.TextField(help_text="The text, with {placeholders}.")
    sender_id = models.CharField(max_length=16, blank=True)
    callback_url = models.URLField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    client_reference = models.CharField(
        max_length=64, null=True, blank=True, help_text="The customer's own name for it; unique in the account."
    )
    audience = models.ForeignKey(
        Audience, on_delete=models.PROTECT, related_name="campaigns", help_text="Of a draft it may be empty."
    )
    resend_of = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="resends",
        help_text="The campaign whose failed messages this one sends again, as new messages.",
    )
    resend_statuses = models.JSONField(
        default=list, blank=True, help_text="Statuses of the messages of `resend_of` that it sends again, by name."
    )

    status = models.CharField(max_length=20, choices=CampaignStatus, default=CampaignStatus.DRAFT)
    pause_reason = models.CharField(max_length=20, choices=PauseReason, blank=True)
    status_detail = SentenceField(max_length=300, blank=True, help_text="Why it is paused or failed, in words.")
    scheduled_at = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True, help_text="Nothing is handed over after this.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    quiet_from = models.TimeField(null=True, blank=True, help_text="On the recipient's clock. Empty: as its account.")
    quiet_until = models.TimeField(null=True, blank=True, help_text="Nothing is handed over in between.")
    canary_size = models.PositiveIntegerField(
        null=True, blank=True, help_text="Recipients whose delivery reports are awaited before the others get theirs."
    )
    canary_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Or these of all its recipients, in hundredths."
    )
    canary_wait = models.PositiveIntegerField(default=900, help_text="Seconds that these reports are waited for.")
    canary_floor = models.PositiveSmallIntegerField(
        default=80, help_text="Delivered of these, in hundredths: below it the campaign is paused."
    )
    canary_state = models.CharField(max_length=8, choices=CanaryState, default="", blank=True)
    canary_due_at = models.DateTimeField(null=True, blank=True)
    recurring = models.ForeignKey(
        RecurringCampaign, on_delete=models.SET_NULL, null=True, blank=True, related_name="campaigns"
    )
    confirms_opt_out = models.BooleanField(
        default=False, help_text="The one message that a number gets which has opted out just now."
    )
    due_at = models.DateTimeField(null=True, blank=True, help_text="The moment of `recurring` that it is for.")

    approval_hash = models.CharField(
        max_length=64, blank=True, help_text="Of the text, sender and audience that were approved; any edit voids it."
    )
    approval_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    preflight = models.JSONField(
        null=True, blank=True, help_text="The receipt before sending, and what it was made of."
    )
    prices = models.JSONField(
        null=True, blank=True, help_text="Of one segment by prefix, as they were when credit was reserved. Empty: free."
    )
    reserved_micro = models.BigIntegerField(
        default=0, help_text="Credit reserved for it and not yet charged or given back, in millionths."
    )
    charged_micro = models.BigIntegerField(default=0, help_text="What the ledger says of it so far, in millionths.")
    cost_micro = models.BigIntegerField(
        default=0, help_text="Of the messages made so far, if a provider takes them all, in millionths."
    )
    counted_on = models.DateField(null=True, blank=True, help_text="The day whose daily limit it counts against.")

    total_recipients = models.PositiveIntegerField(default=0)
    chunk_count = models.PositiveIntegerField(default=0)
    chunks_done = models.PositiveIntegerField(default=0, help_text="Chunks expanded into batches and messages.")
    expansion_lease_until = models.DateTimeField(null=True, blank=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        db_table = "sms_campaigns"
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=CampaignStatus.values), name="campaign_status_known"),
            models.CheckConstraint(condition=models.Q(kind__in=CampaignKind.values), name="campaign_kind_known"),
            models.UniqueConstraint(fields=["account", "mode", "client_reference"], name="campaign_reference_once"),
            models.UniqueConstraint(fields=["recurring", "due_at"], name="campaign_of_a_moment_once"),
        ]
        indexes = [
            models.Index(fields=["account", "kind", "-id"], name="campaign_list"),  # the customer's list of campaigns
            models.Index(fields=["status", "scheduled_at"], name="campaign_due"),  # campaigns that beat starts
            # sweep: open campaigns, never the whole history
            models.Index(fields=["status", "valid_until"], name="campaign_open", condition=models.Q(closed_at=None)),
            # consistency checks: open campaigns, in slices
            models.Index(fields=["id"], name="campaign_not_closed", condition=models.Q(closed_at=None)),
            # expansion: running campaigns with chunks left
            models.Index(
                fields=["chunks_done", "id"],
                name="campaign_to_expand",
                condition=models.Q(status=CampaignStatus.RUNNING, chunks_done__lt=models.F("chunk_count")),
            ),
            # canaries that wait for their reports
            models.Index(
                fields=["canary_due_at"],
                name="campaign_canary",
                condition=models.Q(canary_state__in=[CanaryState.SENDING, CanaryState.WAITING, CanaryState.FAILED]),
            ),
            # settlement: closed campaigns with credit to give back
            models.Index(
                fields=["account", "id"],
                name="campaign_reserved",
                condition=models.Q(reserved_micro__gt=0, closed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.bulk_id

    @property
    def state_key(self) -> str:
        """Return the key of the state's colour. A completed campaign is green only if most messages arrived."""
        if self.status != CampaignStatus.COMPLETED:
            return self.status
        if self.sent > 0:
            return "reporting"
        return "undelivered" if self.delivered * 2 < self.total_recipients else self.status

    @property
    def successful_count(self) -> int:
        return self.delivered

    @property
    def failed_count(self) -> int:
        return (
            self.undelivered
            + self.rejected
            + self.failed
            + self.expired
            + self.cancelled
            + self.suppressed
            + self.unconfirmed
        )

    @property
    def waiting(self) -> int:
        """Recipients not yet expanded into messages."""
        return self.total_recipients - sum(self.tally.values())
