"""Recurring campaigns."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django_celery_beat.models import CrontabSchedule

from accounts.choices import Mode
from accounts.models import Account
from campaigns.choices import RecurringStatus
from campaigns.models.titled import Titled
from smsapp.core.sentences import SentenceField
from uploads.models import Audience, ContactList


class RecurringCampaign(Titled, models.Model):
    """A rule that makes a campaign at each of its moments.

        active -> paused | ended    by a person; by the clock after its last moment or several consecutive failures
        paused -> active | ended    by a person

    The recipients are a fixed audience, or a contact list as it stands at that moment. Firing advances `next_run_at` by
    compare-and-set, in the transaction that stores the campaign of the moment before. That campaign is unique by
    (recurring, due_at), so each moment fires once, however many clocks run.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="recurring_campaigns")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recurring_id = models.CharField(max_length=40, unique=True)
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    name = models.CharField(max_length=120)
    message = models.TextField(help_text="The text, with {placeholders}.")
    sender_id = models.CharField(max_length=16, blank=True)
    callback_url = models.URLField(max_length=500, blank=True)
    contact_list = models.ForeignKey(ContactList, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    audience = models.ForeignKey(Audience, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    rule = models.ForeignKey(CrontabSchedule, on_delete=models.PROTECT, related_name="+")
    valid_minutes = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(5), MaxValueValidator(60 * 24 * 30)],
        help_text="Nothing is handed over later than so long after its moment. Empty: no limit.",
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    canary_size = models.PositiveIntegerField(null=True, blank=True)
    canary_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    canary_wait = models.PositiveIntegerField(default=900, help_text="Seconds.")
    canary_floor = models.PositiveSmallIntegerField(default=80, help_text="In hundredths.")

    status = models.CharField(max_length=8, choices=RecurringStatus, default=RecurringStatus.ACTIVE)
    next_run_at = models.DateTimeField(null=True, blank=True, help_text="Empty: not before somebody resumes it.")
    last_run_at = models.DateTimeField(null=True, blank=True, help_text="The last moment that fired.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="No moment after this fires.")
    run_count = models.PositiveIntegerField(default=0)
    failure_count = models.PositiveSmallIntegerField(default=0, help_text="Moments in a row that made no campaign.")
    detail = SentenceField(max_length=300, blank=True, help_text="What the last moment came to, if it failed.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=RecurringStatus.values), name="recurring_status_known"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="recurring_list"),
            models.Index(
                fields=["next_run_at"], name="recurring_due", condition=models.Q(status=RecurringStatus.ACTIVE)
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.recurring_id
