import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("campaigns", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="StatDelta",
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
                ("batch_id", models.BigIntegerField()),
                (
                    "segments",
                    models.IntegerField(default=0, help_text="Of messages that a provider took, or by proof did not."),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Batch",
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
                ("chunk", models.PositiveIntegerField(help_text="Number of the audience chunk it was expanded from.")),
                ("part", models.PositiveSmallIntegerField(help_text="Its place among the batches of that chunk.")),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("lane", models.PositiveSmallIntegerField(choices=[(0, "single sends"), (1, "campaigns")])),
                (
                    "turn",
                    models.PositiveIntegerField(
                        help_text="Its place in its account's own queue, so that accounts alternate."
                    ),
                ),
                ("size", models.PositiveSmallIntegerField()),
                (
                    "gateway",
                    models.CharField(
                        blank=True,
                        help_text="Where its messages go, or went last. Empty: nobody has chosen yet.",
                        max_length=40,
                    ),
                ),
                (
                    "prefix",
                    models.CharField(
                        blank=True, help_text="What its numbers begin with, as far as routes tell.", max_length=8
                    ),
                ),
                (
                    "is_pinned",
                    models.BooleanField(
                        default=False,
                        help_text="Its gateway may have all that is queued: nothing of it may go to another one.",
                    ),
                ),
                (
                    "waits_for_canary",
                    models.BooleanField(
                        default=False, help_text="The first recipients of its campaign are tried before."
                    ),
                ),
                (
                    "was_moved",
                    models.BooleanField(default=False, help_text="From one gateway to another, with messages queued."),
                ),
                ("route_note", models.CharField(blank=True, help_text="Why it goes where it goes.", max_length=200)),
                (
                    "price_micro",
                    models.BigIntegerField(
                        default=0, help_text="Of one segment, the same for all of its messages, in millionths. 0: free."
                    ),
                ),
                (
                    "segments",
                    models.IntegerField(
                        default=0, help_text="Of its messages that a provider took, as far as is known."
                    ),
                ),
                ("charged_segments", models.IntegerField(default=0, help_text="Of these, how many the ledger knows.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("held", "Held until its release time, or while nothing of its campaign may leave"),
                            ("ready", "Ready"),
                            ("leased", "A worker holds it"),
                            ("unknown", "An outcome is being looked up"),
                            ("done", "Nothing left to hand over"),
                        ],
                        default="ready",
                        max_length=8,
                    ),
                ),
                ("release_at", models.DateTimeField(blank=True, null=True)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "retry_count",
                    models.PositiveSmallIntegerField(default=0, help_text="Calls in a row that were not sent."),
                ),
                (
                    "lease_count",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="Leases in a row that ended without a result."
                    ),
                ),
                ("lease_owner", models.CharField(blank=True, max_length=80)),
                ("lease_epoch", models.PositiveIntegerField(default=0)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "call_size",
                    models.PositiveSmallIntegerField(default=1000, help_text="Messages in its next call, at most."),
                ),
                (
                    "report_check_at",
                    models.DateTimeField(blank=True, help_text="When missing reports are looked up.", null=True),
                ),
                ("report_check_count", models.PositiveSmallIntegerField(default=0)),
                (
                    "report_deadline",
                    models.DateTimeField(blank=True, help_text="When missing reports are given up.", null=True),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.account"
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="batches", to="campaigns.campaign"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "batches",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "ready")), fields=["lane", "turn", "id"], name="batch_to_lease"
                    ),
                    models.Index(
                        condition=models.Q(("state", "ready")), fields=["lane", "account", "-turn"], name="batch_turn"
                    ),
                    models.Index(fields=["account", "mode", "-id"], name="batch_list"),
                    models.Index(
                        condition=models.Q(("state__in", ["held", "leased", "unknown"])),
                        fields=["state", "lease_until"],
                        name="batch_to_sweep",
                    ),
                    models.Index(
                        condition=models.Q(("waits_for_canary", True)), fields=["campaign"], name="batch_waits"
                    ),
                    models.Index(
                        condition=models.Q(("sent__gt", 0)), fields=["report_check_at"], name="batch_report_check"
                    ),
                    models.Index(
                        condition=models.Q(("sent__gt", 0)), fields=["report_deadline"], name="batch_report_due"
                    ),
                    models.Index(
                        condition=models.Q(
                            ("price_micro__gt", 0), models.Q(("segments", models.F("charged_segments")), _negated=True)
                        ),
                        fields=["campaign"],
                        name="batch_uncharged",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "chunk", "part"), name="batch_expanded_once"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["held", "ready", "leased", "unknown", "done"])),
                        name="batch_state_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gateway", models.CharField(max_length=40)),
                ("reference", models.CharField(max_length=60, unique=True)),
                ("epoch", models.PositiveIntegerField(help_text="The batch's lease epoch under which it was made.")),
                ("first", models.BigIntegerField(help_text="Lowest message number in the call.")),
                ("last", models.BigIntegerField(help_text="Highest message number in the call.")),
                ("message_count", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "The call may be in flight"),
                            ("answered", "The provider answered"),
                            ("not_sent", "Not sent, for certain"),
                            ("unknown", "The outcome is unknown"),
                            ("resolved", "The unknown outcome was cleared up"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("deadline", models.DateTimeField(help_text="When the call has ended for certain, answered or not.")),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("http_status", models.PositiveSmallIntegerField(blank=True, null=True)),
                (
                    "detail",
                    models.CharField(
                        blank=True, help_text="What happened, without numbers, texts or keys.", max_length=300
                    ),
                ),
                ("lookup_count", models.PositiveSmallIntegerField(default=0)),
                ("next_lookup_at", models.DateTimeField(blank=True, null=True)),
                (
                    "batch",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="attempts", to="messaging.batch"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["open", "unknown"])),
                        fields=["state", "deadline"],
                        name="attempt_unsettled",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "answered", "not_sent", "unknown", "resolved"])),
                        name="attempt_state_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Gateway",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.SlugField(
                        help_text="Stands in the addresses that the provider calls, so it stays as it is.",
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("infobip", "Infobip"), ("twilio", "Twilio"), ("http", "Custom HTTP")], max_length=8
                    ),
                ),
                (
                    "is_enabled",
                    models.BooleanField(
                        default=True, help_text="Off: nothing more goes to it; reports are still taken."
                    ),
                ),
                (
                    "base_url",
                    models.URLField(blank=True, help_text="Empty: the provider's usual address.", max_length=300),
                ),
                ("credentials", models.TextField(blank=True, editable=False)),
                (
                    "rules",
                    models.JSONField(blank=True, default=dict, help_text="Of a custom HTTP gateway: how it is called."),
                ),
                (
                    "rate",
                    models.FloatField(
                        blank=True,
                        help_text="Messages a second, of all processes together. Empty: no ceiling.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0.01)],
                    ),
                ),
                (
                    "max_batch",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Messages in one call; where the provider takes one recipient: requests at the same time.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "validity",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Seconds for which the provider tries to deliver, unless a campaign says otherwise.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(60),
                            django.core.validators.MaxValueValidator(172800),
                        ],
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["infobip", "twilio", "http"])), name="gateway_kind_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="InboundMessage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("inbound_id", models.CharField(max_length=40, unique=True)),
                ("gateway", models.CharField(max_length=40)),
                ("provider_reference", models.CharField(help_text="The provider's own id of it.", max_length=120)),
                (
                    "phone_number",
                    models.CharField(help_text="Who wrote, in E.164 where it is a number.", max_length=20),
                ),
                ("recipient", models.CharField(help_text="The number or short code of ours.", max_length=20)),
                ("text", models.TextField(blank=True)),
                ("keyword", models.CharField(blank=True, max_length=40)),
                ("segment_count", models.SmallIntegerField(default=1)),
                (
                    "reply_to",
                    models.BigIntegerField(
                        blank=True, help_text="The message of ours it most likely answers.", null=True
                    ),
                ),
                ("received_at", models.DateTimeField(help_text="When the provider took it.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: nobody could say whose it is, and an operator looks at it.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="inbound_messages",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account", "-id"], name="inbound_list"),
                    models.Index(fields=["account", "phone_number", "-id"], name="inbound_phone"),
                ],
                "constraints": [models.UniqueConstraint(fields=("gateway", "provider_reference"), name="inbound_once")],
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "row",
                    models.IntegerField(help_text="Number of the row in the file, or place in the request (from 1)."),
                ),
                ("phone_number", models.CharField(max_length=16)),
                (
                    "variables",
                    models.TextField(
                        default="", help_text="JSON array of the row's values; empty if the text needs none."
                    ),
                ),
                (
                    "status",
                    models.SmallIntegerField(
                        choices=[
                            (1, "queued"),
                            (2, "unknown"),
                            (3, "sent"),
                            (4, "unconfirmed"),
                            (5, "delivered"),
                            (6, "undelivered"),
                            (7, "rejected"),
                            (8, "failed"),
                            (9, "expired"),
                            (10, "cancelled"),
                            (11, "suppressed"),
                        ],
                        default=1,
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "—"),
                            ("missing_value", "A value for a placeholder is missing in the row"),
                            ("text_too_long", "With its values filled in, the text is longer than 1,600 characters"),
                            ("empty_text", "With its values filled in, the text is empty"),
                            ("opted_out", "The recipient has opted out"),
                            ("country_blocked", "The account may not send to this country"),
                            ("too_often", "The recipient got as many messages as one may get for now"),
                            ("no_route", "No gateway is set up for this destination"),
                            ("too_late", "It could not be handed over before its validity ended"),
                            ("cancelled", "The campaign was cancelled"),
                            ("poison", "Processing broke off repeatedly; an operator has to look at it"),
                            ("recipient_refused", "The provider refuses this recipient"),
                            ("sender_refused", "The provider refuses this sender"),
                            ("content_refused", "The provider or operator refuses this content"),
                            ("provider_refused", "The provider refused the message"),
                            ("unreachable", "The handset could not be reached in time"),
                            ("unknown_number", "The number is not in service"),
                            ("not_delivered", "The operator could not deliver it"),
                            ("answer_lost", "The provider's answer was lost; it is being looked up"),
                            ("no_proof", "It is not known whether the provider took it; it was not sent again"),
                            ("no_report", "The provider took it and never reported the outcome"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                (
                    "detail",
                    models.CharField(
                        blank=True, default="", help_text="What the reason names, or the code.", max_length=120
                    ),
                ),
                ("segment_count", models.SmallIntegerField(default=0)),
                ("sent_at", models.DateTimeField(blank=True, help_text="When the provider took it.", null=True)),
                ("done_at", models.DateTimeField(blank=True, help_text="When it reached its last state.", null=True)),
                (
                    "campaign",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="messages",
                        to="campaigns.campaign",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["phone_number", "id"], name="message_phone")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("status__range", (1, 11))), name="message_status_known")
                ],
            },
        ),
        migrations.CreateModel(
            name="DeliveryReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.SmallIntegerField(
                        choices=[
                            (1, "queued"),
                            (2, "unknown"),
                            (3, "sent"),
                            (4, "unconfirmed"),
                            (5, "delivered"),
                            (6, "undelivered"),
                            (7, "rejected"),
                            (8, "failed"),
                            (9, "expired"),
                            (10, "cancelled"),
                            (11, "suppressed"),
                        ]
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "—"),
                            ("missing_value", "A value for a placeholder is missing in the row"),
                            ("text_too_long", "With its values filled in, the text is longer than 1,600 characters"),
                            ("empty_text", "With its values filled in, the text is empty"),
                            ("opted_out", "The recipient has opted out"),
                            ("country_blocked", "The account may not send to this country"),
                            ("too_often", "The recipient got as many messages as one may get for now"),
                            ("no_route", "No gateway is set up for this destination"),
                            ("too_late", "It could not be handed over before its validity ended"),
                            ("cancelled", "The campaign was cancelled"),
                            ("poison", "Processing broke off repeatedly; an operator has to look at it"),
                            ("recipient_refused", "The provider refuses this recipient"),
                            ("sender_refused", "The provider refuses this sender"),
                            ("content_refused", "The provider or operator refuses this content"),
                            ("provider_refused", "The provider refused the message"),
                            ("unreachable", "The handset could not be reached in time"),
                            ("unknown_number", "The number is not in service"),
                            ("not_delivered", "The operator could not deliver it"),
                            ("answer_lost", "The provider's answer was lost; it is being looked up"),
                            ("no_proof", "It is not known whether the provider took it; it was not sent again"),
                            ("no_report", "The provider took it and never reported the outcome"),
                        ],
                        default="",
                        max_length=20,
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("answer", "Answer to our call"),
                            ("push", "Pushed delivery report"),
                            ("poll", "Polled delivery report"),
                            ("lookup", "Look-up at the provider"),
                            ("refusal", "Refusal of our account, reported later"),
                            ("deadline", "Deadline passed"),
                            ("decision", "Our own decision"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "provider_status",
                    models.CharField(blank=True, help_text="The provider's own status name.", max_length=60),
                ),
                ("error_code", models.CharField(blank=True, max_length=20)),
                ("error_description", models.CharField(blank=True, max_length=200)),
                (
                    "price",
                    models.DecimalField(
                        blank=True, decimal_places=6, help_text="Whole message.", max_digits=12, null=True
                    ),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("done_at", models.DateTimeField(blank=True, help_text="The provider's time of the event.", null=True)),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "message",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="reports",
                        to="messaging.message",
                    ),
                ),
            ],
            options={
                "db_table": "delivery_reports",
                "indexes": [models.Index(fields=["message", "id"], name="delivery_report_message")],
            },
        ),
        migrations.CreateModel(
            name="ProviderReference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gateway", models.CharField(max_length=40)),
                ("reference", models.CharField(max_length=120)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "message",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="provider_references",
                        to="messaging.message",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["message"], name="provider_reference_message"),
                    models.Index(fields=["created_at"], name="provider_reference_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("gateway", "reference"), name="provider_reference_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ReportInbox",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gateway", models.CharField(max_length=40)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("answer", "Answer to our call"),
                            ("push", "Pushed delivery report"),
                            ("poll", "Polled delivery report"),
                            ("lookup", "Look-up at the provider"),
                            ("refusal", "Refusal of our account, reported later"),
                            ("deadline", "Deadline passed"),
                            ("decision", "Our own decision"),
                        ],
                        max_length=8,
                    ),
                ),
                ("body", models.BinaryField()),
                ("received_at", models.DateTimeField(auto_now_add=True)),
                ("applied_at", models.DateTimeField(blank=True, null=True)),
                ("report_count", models.PositiveIntegerField(default=0)),
                ("unmatched_count", models.PositiveIntegerField(default=0, help_text="Reports that found no message.")),
                ("failure_count", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "rematch_at",
                    models.DateTimeField(
                        blank=True, help_text="When its unmatched reports are tried again.", null=True
                    ),
                ),
                ("error", models.CharField(blank=True, max_length=300)),
            ],
            options={
                "verbose_name_plural": "report inbox",
                "indexes": [
                    models.Index(
                        condition=models.Q(("rematch_at__isnull", False)), fields=["rematch_at"], name="inbox_unmatched"
                    ),
                    models.Index(
                        condition=models.Q(("applied_at", None)), fields=["next_attempt_at"], name="inbox_waiting"
                    ),
                    models.Index(fields=["received_at"], name="inbox_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Route",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sender_id", models.CharField(blank=True, help_text="Empty: every sender.", max_length=16)),
                (
                    "prefix",
                    models.CharField(
                        blank=True,
                        help_text="What the number begins with, digits without plus: 49, 1415. Empty: every number.",
                        max_length=8,
                        validators=[
                            django.core.validators.RegexValidator("\\A[1-9][0-9]*\\Z", "Digits, without a plus.")
                        ],
                    ),
                ),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        default=100, help_text="The lowest goes first; the next is for when its gateways are down."
                    ),
                ),
                (
                    "weight",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="Its share among routes that are equal in everything else.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "cost_micro",
                    models.BigIntegerField(
                        blank=True,
                        help_text="What a segment costs us here, in millionths; for reports and for you.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
                ("is_enabled", models.BooleanField(default=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: every account.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="routes", to="messaging.gateway"
                    ),
                ),
            ],
            options={
                "ordering": ["prefix", "account", "sender_id", "priority", "id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("gateway", "account", "sender_id", "prefix"),
                        name="route_once",
                        violation_error_message="There is a route for the same messages to the same gateway.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("account", None)),
                        fields=("gateway", "sender_id", "prefix"),
                        name="route_for_all_once",
                        violation_error_message="There is a route for the same messages to the same gateway.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RouteHealth",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gateway", models.CharField(max_length=40)),
                ("prefix", models.CharField(blank=True, max_length=8)),
                ("share", models.PositiveSmallIntegerField(default=100, help_text="Of its weight, in hundredths.")),
                (
                    "sent",
                    models.PositiveIntegerField(default=0, help_text="Messages it took in the time that was measured."),
                ),
                ("delivered", models.PositiveIntegerField(default=0)),
                ("undelivered", models.PositiveIntegerField(default=0)),
                ("silent", models.PositiveIntegerField(default=0, help_text="Without a report for longer than usual.")),
                ("failed_calls", models.PositiveIntegerField(default=0)),
                ("detail", models.CharField(blank=True, max_length=200)),
                ("measured_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "health of routes",
                "constraints": [models.UniqueConstraint(fields=("gateway", "prefix"), name="health_once")],
            },
        ),
    ]
