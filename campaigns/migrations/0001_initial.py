import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("accounts", "__first__"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("uploads", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RecurringCampaign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("recurring_id", models.CharField(max_length=40, unique=True)),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4)),
                ("name", models.CharField(max_length=120)),
                ("message", models.TextField(help_text="The text, with {placeholders}.")),
                ("sender_id", models.CharField(blank=True, max_length=16)),
                ("callback_url", models.URLField(blank=True, max_length=500)),
                (
                    "valid_minutes",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Nothing is handed over later than so long after its moment. Empty: no limit.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(5),
                            django.core.validators.MaxValueValidator(43200),
                        ],
                    ),
                ),
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_until", models.TimeField(blank=True, null=True)),
                ("canary_size", models.PositiveIntegerField(blank=True, null=True)),
                ("canary_percent", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("canary_wait", models.PositiveIntegerField(default=900, help_text="Seconds.")),
                ("canary_floor", models.PositiveSmallIntegerField(default=80, help_text="In hundredths.")),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("paused", "Paused"), ("ended", "Ended")],
                        default="active",
                        max_length=8,
                    ),
                ),
                (
                    "next_run_at",
                    models.DateTimeField(blank=True, help_text="Empty: not before somebody resumes it.", null=True),
                ),
                ("last_run_at", models.DateTimeField(blank=True, help_text="The last moment that fired.", null=True)),
                ("ends_at", models.DateTimeField(blank=True, help_text="No moment after this fires.", null=True)),
                ("run_count", models.PositiveIntegerField(default=0)),
                (
                    "failure_count",
                    models.PositiveSmallIntegerField(default=0, help_text="Moments in a row that made no campaign."),
                ),
                (
                    "detail",
                    models.CharField(
                        blank=True, help_text="What the last moment came to, if it failed.", max_length=300
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recurring_campaigns",
                        to="accounts.account",
                    ),
                ),
                (
                    "audience",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="uploads.audience",
                    ),
                ),
                (
                    "contact_list",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="uploads.contactlist",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="django_celery_beat.crontabschedule",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account", "-id"], name="recurring_list"),
                    models.Index(
                        condition=models.Q(("status", "active")), fields=["next_run_at"], name="recurring_due"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "paused", "ended"])), name="recurring_status_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("queued", models.IntegerField(default=0)),
                ("sent", models.IntegerField(default=0)),
                ("delivered", models.IntegerField(default=0)),
                ("undelivered", models.IntegerField(default=0)),
                ("rejected", models.IntegerField(default=0)),
                ("failed", models.IntegerField(default=0)),
                ("expired", models.IntegerField(default=0)),
                ("cancelled", models.IntegerField(default=0)),
                ("suppressed", models.IntegerField(default=0)),
                ("unknown", models.IntegerField(default=0)),
                ("unconfirmed", models.IntegerField(default=0)),
                (
                    "kind",
                    models.CharField(choices=[("single", "Single send"), ("bulk", "Bulk campaign")], max_length=6),
                ),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4)),
                ("bulk_id", models.CharField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=120)),
                ("message", models.TextField(help_text="The text, with {placeholders}.")),
                ("sender_id", models.CharField(blank=True, max_length=16)),
                ("callback_url", models.URLField(blank=True, max_length=500)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                (
                    "client_reference",
                    models.CharField(
                        blank=True,
                        help_text="The customer's own name for it; unique in the account.",
                        max_length=64,
                        null=True,
                    ),
                ),
                (
                    "resend_statuses",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Statuses of the messages of `resend_of` that it sends again, by name.",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("awaiting_approval", "Awaiting approval"),
                            ("scheduled", "Scheduled"),
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("completed", "Completed"),
                            ("cancelled", "Cancelled"),
                            ("missed", "Missed"),
                            ("failed", "Failed"),
                        ],
                        default="draft",
                        max_length=20,
                    ),
                ),
                (
                    "pause_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("by_user", "Paused by a person"),
                            ("gateway_refused", "The gateway refuses our account"),
                            ("canary", "Too few of the first recipients got it"),
                            ("no_credit", "The credit does not suffice"),
                            ("defect", "Something is wrong on our side"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "status_detail",
                    models.CharField(blank=True, help_text="Why it is paused or failed, in words.", max_length=300),
                ),
                ("scheduled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "valid_until",
                    models.DateTimeField(blank=True, help_text="Nothing is handed over after this.", null=True),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "quiet_from",
                    models.TimeField(
                        blank=True, help_text="On the recipient's clock. Empty: as its account.", null=True
                    ),
                ),
                (
                    "quiet_until",
                    models.TimeField(blank=True, help_text="Nothing is handed over in between.", null=True),
                ),
                (
                    "canary_size",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Recipients whose delivery reports are awaited before the others get theirs.",
                        null=True,
                    ),
                ),
                (
                    "canary_percent",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="Or these of all its recipients, in hundredths.", null=True
                    ),
                ),
                (
                    "canary_wait",
                    models.PositiveIntegerField(default=900, help_text="Seconds that these reports are waited for."),
                ),
                (
                    "canary_floor",
                    models.PositiveSmallIntegerField(
                        default=80, help_text="Delivered of these, in hundredths: below it the campaign is paused."
                    ),
                ),
                (
                    "canary_state",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("sending", "The first are being sent"),
                            ("waiting", "Reports on the first are awaited"),
                            ("passed", "The others follow"),
                            ("failed", "Too few of the first were delivered"),
                        ],
                        default="",
                        max_length=8,
                    ),
                ),
                ("canary_due_at", models.DateTimeField(blank=True, null=True)),
                (
                    "confirms_opt_out",
                    models.BooleanField(
                        default=False, help_text="The one message that a number gets which has opted out just now."
                    ),
                ),
                (
                    "due_at",
                    models.DateTimeField(blank=True, help_text="The moment of `recurring` that it is for.", null=True),
                ),
                (
                    "approval_hash",
                    models.CharField(
                        blank=True,
                        help_text="Of the text, sender and audience that were approved; any edit voids it.",
                        max_length=64,
                    ),
                ),
                ("approved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "preflight",
                    models.JSONField(
                        blank=True, help_text="The receipt before sending, and what it was made of.", null=True
                    ),
                ),
                (
                    "prices",
                    models.JSONField(
                        blank=True,
                        help_text="Of one segment by prefix, as they were when credit was reserved. Empty: free.",
                        null=True,
                    ),
                ),
                (
                    "reserved_micro",
                    models.BigIntegerField(
                        default=0, help_text="Credit reserved for it and not yet charged or given back, in millionths."
                    ),
                ),
                (
                    "charged_micro",
                    models.BigIntegerField(default=0, help_text="What the ledger says of it so far, in millionths."),
                ),
                (
                    "cost_micro",
                    models.BigIntegerField(
                        default=0, help_text="Of the messages made so far, if a provider takes them all, in millionths."
                    ),
                ),
                (
                    "counted_on",
                    models.DateField(blank=True, help_text="The day whose daily limit it counts against.", null=True),
                ),
                ("total_recipients", models.PositiveIntegerField(default=0)),
                ("chunk_count", models.PositiveIntegerField(default=0)),
                (
                    "chunks_done",
                    models.PositiveIntegerField(default=0, help_text="Chunks expanded into batches and messages."),
                ),
                ("expansion_lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="campaigns", to="accounts.account"
                    ),
                ),
                (
                    "approval_requested_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "approved_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "audience",
                    models.ForeignKey(
                        help_text="Of a draft it may be empty.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to="uploads.audience",
                    ),
                ),
                (
                    "resend_of",
                    models.ForeignKey(
                        blank=True,
                        help_text="The campaign whose failed messages this one sends again, as new messages.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="resends",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "recurring",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="campaigns",
                        to="campaigns.recurringcampaign",
                    ),
                ),
            ],
            options={
                "db_table": "sms_campaigns",
                "indexes": [
                    models.Index(fields=["account", "kind", "-id"], name="campaign_list"),
                    models.Index(fields=["status", "scheduled_at"], name="campaign_due"),
                    models.Index(
                        condition=models.Q(("closed_at", None)), fields=["status", "valid_until"], name="campaign_open"
                    ),
                    models.Index(
                        condition=models.Q(("canary_state__in", ["sending", "waiting", "failed"])),
                        fields=["canary_due_at"],
                        name="campaign_canary",
                    ),
                    models.Index(
                        condition=models.Q(("reserved_micro__gt", 0)), fields=["account"], name="campaign_reserved"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                [
                                    "draft",
                                    "awaiting_approval",
                                    "scheduled",
                                    "running",
                                    "paused",
                                    "completed",
                                    "cancelled",
                                    "missed",
                                    "failed",
                                ],
                            )
                        ),
                        name="campaign_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["single", "bulk"])), name="campaign_kind_known"
                    ),
                    models.UniqueConstraint(
                        fields=("account", "mode", "client_reference"), name="campaign_reference_once"
                    ),
                    models.UniqueConstraint(fields=("recurring", "due_at"), name="campaign_of_a_moment_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="MessageTemplate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("template_id", models.CharField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=120)),
                ("message", models.TextField(help_text="The text, with {placeholders}.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="templates", to="accounts.account"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("account", "name"), name="template_name_once")],
            },
        ),
    ]
