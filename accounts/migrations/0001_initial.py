import uuid

import django.contrib.auth.models
import django.contrib.auth.validators
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120)),
                (
                    "default_country",
                    models.CharField(
                        default="US",
                        help_text="ISO 3166 code; numbers in national format are read as this country's.",
                        max_length=2,
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True, help_text="A held account can sign in and read, and sends nothing."
                    ),
                ),
                (
                    "hold_reason",
                    models.CharField(
                        blank=True, help_text="Why it is on hold, where that was automatic.", max_length=200
                    ),
                ),
                (
                    "is_metered",
                    models.BooleanField(
                        default=False, help_text="Pays from prepaid credit; others send without a balance."
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        default="EUR", help_text="ISO 4217; of its price list and its credit.", max_length=3
                    ),
                ),
                (
                    "balance_micro",
                    models.BigIntegerField(
                        default=0,
                        help_text="Credit left to reserve, in millionths of the currency. Moved by services only.",
                    ),
                ),
                (
                    "reserved_micro",
                    models.BigIntegerField(
                        default=0, help_text="Credit set aside for campaigns that are not charged yet, in millionths."
                    ),
                ),
                (
                    "low_balance_micro",
                    models.BigIntegerField(default=0, help_text="Below this the account is told. 0: never."),
                ),
                (
                    "daily_message_limit",
                    models.PositiveIntegerField(
                        blank=True, help_text="Messages accepted in one day (UTC), at most. Empty: no limit.", null=True
                    ),
                ),
                (
                    "approval_above",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Campaigns with more recipients need a second person. Empty: none does.",
                        null=True,
                    ),
                ),
                (
                    "approval_above_micro",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Campaigns that cost more need a second person, in millionths. Empty: no limit.",
                        null=True,
                    ),
                ),
                (
                    "rate",
                    models.FloatField(
                        blank=True,
                        help_text="Messages a second of all its sends together. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0.01)],
                    ),
                ),
                (
                    "quiet_from",
                    models.TimeField(blank=True, help_text="Nothing is sent in bulk from then, local time", null=True),
                ),
                (
                    "quiet_until",
                    models.TimeField(blank=True, help_text="until then. Empty: as in the country.", null=True),
                ),
                (
                    "allowed_countries",
                    models.CharField(
                        blank=True,
                        help_text="ISO 3166 codes with spaces between them: DE AT CH. Empty: all.",
                        max_length=400,
                    ),
                ),
                (
                    "guards_numbers",
                    models.BooleanField(
                        default=False,
                        help_text="Holds the account when it sends to numbers in a row, as who pumps traffic does.",
                    ),
                ),
                (
                    "recipient_hourly_limit",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Messages to one number in an hour, of all campaigns together. Empty: no limit.",
                        null=True,
                    ),
                ),
                (
                    "recipient_daily_limit",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Messages to one number in 24 hours. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "daily_spend_limit_micro",
                    models.BigIntegerField(
                        blank=True,
                        help_text="What it may spend in one day (UTC), in millionths. Empty: no limit.",
                        null=True,
                    ),
                ),
                (
                    "opt_out_reply",
                    models.CharField(
                        blank=True,
                        help_text="What a number that sends STOP is answered, once. Empty: nothing.",
                        max_length=160,
                    ),
                ),
                (
                    "callback_secret",
                    models.TextField(blank=True, help_text="Encrypted; signs what is sent to callback URLs."),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="QuietHours",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "prefix",
                    models.CharField(
                        help_text="What its numbers begin with, digits without plus: 33, 1, 1787.",
                        max_length=8,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator("\\A[1-9][0-9]*\\Z", "Digits, without a plus.")
                        ],
                    ),
                ),
                ("country", models.CharField(blank=True, help_text="For your own eyes.", max_length=60)),
                ("begins", models.TimeField(help_text="Local time, such as 21:00.")),
                ("ends", models.TimeField(help_text="Local time, the next morning if it is earlier.")),
                ("is_enabled", models.BooleanField(default=True)),
            ],
            options={
                "verbose_name_plural": "quiet hours",
                "ordering": ["prefix"],
            },
        ),
        migrations.CreateModel(
            name="ReservedName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=16, unique=True)),
                ("note", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Setting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=80, unique=True)),
                ("value", models.TextField(blank=True)),
                ("description", models.CharField(blank=True, max_length=300)),
                (
                    "is_fixed",
                    models.BooleanField(
                        default=False, help_text="Set by the installation; changing it would break ids."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "settings",
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "prefix",
                    models.CharField(
                        blank=True, help_text="Digits after the plus; empty: everywhere else.", max_length=15
                    ),
                ),
                ("currency", models.CharField(default="EUR", max_length=3)),
                ("price_micro", models.BigIntegerField(help_text="Of one segment, in millionths of the currency.")),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: the price list of every account without a price of its own.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("account", "currency", "prefix"), name="price_once"),
                    models.UniqueConstraint(
                        condition=models.Q(("account", None)), fields=("currency", "prefix"), name="general_price_once"
                    ),
                    models.CheckConstraint(condition=models.Q(("price_micro__gte", 0)), name="price_not_negative"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SenderId",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("value", models.CharField(max_length=16)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("alphanumeric", "Alphanumeric"),
                            ("number", "Long number"),
                            ("short_code", "Short code"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("approved", "Approved"), ("rejected", "Rejected")],
                        default="pending",
                        max_length=8,
                    ),
                ),
                (
                    "is_transactional",
                    models.BooleanField(
                        default=False,
                        help_text="For codes and notices that people wait for: no quiet hours. An operator decides.",
                    ),
                ),
                (
                    "rate",
                    models.FloatField(
                        blank=True,
                        help_text="Messages a second that its number or code can send. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0.01)],
                    ),
                ),
                (
                    "note",
                    models.CharField(blank=True, help_text="The operator's word to the customer.", max_length=200),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sender_ids", to="accounts.account"
                    ),
                ),
            ],
            options={
                "verbose_name": "sender ID",
                "constraints": [
                    models.UniqueConstraint(fields=("account", "value"), name="sender_id_once_per_account"),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "approved", "rejected"])),
                        name="sender_id_status_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4)),
                (
                    "kind",
                    models.CharField(
                        choices=[("endpoint", "Endpoint"), ("callback", "Callback URL of a send")],
                        default="endpoint",
                        max_length=8,
                    ),
                ),
                ("endpoint_id", models.CharField(max_length=40, unique=True)),
                ("url", models.URLField(max_length=500)),
                ("description", models.CharField(blank=True, max_length=120)),
                (
                    "event_types",
                    models.JSONField(blank=True, default=list, help_text="Which events it gets. Empty: all of them."),
                ),
                (
                    "show_numbers",
                    models.BooleanField(default=False, help_text="Phone numbers in full, not only their last digits."),
                ),
                (
                    "secret",
                    models.TextField(
                        blank=True, help_text="Encrypted. Empty for a callback URL: the account's own is used."
                    ),
                ),
                (
                    "old_secret",
                    models.TextField(blank=True, help_text="Encrypted; signs beside the new one after a rotation."),
                ),
                ("old_secret_until", models.DateTimeField(blank=True, null=True)),
                ("is_active", models.BooleanField(default=True)),
                ("disabled_at", models.DateTimeField(blank=True, null=True)),
                ("disabled_reason", models.CharField(blank=True, max_length=200)),
                (
                    "failing_since",
                    models.DateTimeField(blank=True, help_text="First failure since its last success.", null=True),
                ),
                ("failure_count", models.PositiveIntegerField(default=0, help_text="Failures since its last success.")),
                (
                    "slow_until",
                    models.DateTimeField(
                        blank=True, help_text="It asked for less: nothing goes out before.", null=True
                    ),
                ),
                ("told_failing_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhook_endpoints",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("failing_since__isnull", False)),
                        fields=["failing_since"],
                        name="webhook_failing",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("account", "mode", "kind", "url"), name="webhook_endpoint_once"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["endpoint", "callback"])), name="webhook_kind_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "event_id",
                    models.CharField(
                        help_text="The header webhook-id: the same at every try and replay.", max_length=40
                    ),
                ),
                ("event_type", models.CharField(max_length=40)),
                ("body", models.TextField(help_text="JSON as it is sent.")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Failed")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("attempt_count", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("lease_owner", models.CharField(blank=True, max_length=80)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "last_status",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="HTTP status of the last answer.", null=True
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("delivered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="accounts.webhookendpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["endpoint", "next_attempt_at"],
                        name="webhook_waiting",
                    ),
                    models.Index(fields=["endpoint", "-id"], name="webhook_list"),
                    models.Index(fields=["created_at"], name="webhook_age"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "delivered", "failed"])),
                        name="webhook_state_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("duration_ms", models.PositiveIntegerField()),
                ("http_status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("error", models.CharField(blank=True, help_text="Why there was no answer.", max_length=200)),
                (
                    "response",
                    models.CharField(blank=True, help_text="The beginning of what it answered.", max_length=1024),
                ),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="accounts.webhookdelivery",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DailyUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                (
                    "spent_micro",
                    models.BigIntegerField(default=0, help_text="Of accounts with a spending limit, in millionths."),
                ),
                ("message_count", models.PositiveIntegerField(default=0)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.account"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("account", "day"), name="daily_use_once")],
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(help_text="SHA-256 of method, route and body.", max_length=64)),
                ("status_code", models.PositiveSmallIntegerField(null=True)),
                ("body", models.TextField(blank=True, help_text="Encrypted: it may hold a secret that is shown once.")),
                ("request_id", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.account"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="idempotency_key_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("account", "mode", "key"), name="idempotency_key_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("owner", "Owner"), ("admin", "Admin"), ("sender", "Sender"), ("viewer", "Viewer")],
                        default="viewer",
                        max_length=10,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="memberships", to="accounts.account"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("account", "user"), name="membership_once_per_account"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["owner", "admin", "sender", "viewer"])),
                        name="membership_role_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TokenFamily",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("family_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("current_jti", models.CharField(help_text="Id of the latest refresh token.", max_length=32)),
                (
                    "password_mark",
                    models.CharField(help_text="Keyed hash that changes with the person's password.", max_length=64),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.account"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "token families",
                "indexes": [models.Index(fields=["expires_at"], name="token_family_age")],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4)),
                (
                    "prefix",
                    models.CharField(
                        help_text="The public part, by which the key is found.", max_length=12, unique=True
                    ),
                ),
                ("secret_hash", models.CharField(max_length=64)),
                (
                    "scopes",
                    models.JSONField(default=list, help_text="What it may do; never more than its owner's role."),
                ),
                (
                    "allowed_networks",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Networks it may be used from, as 203.0.113.0/24. Empty: from anywhere.",
                    ),
                ),
                (
                    "rate_limit",
                    models.PositiveIntegerField(
                        blank=True, help_text="Calls a minute. Empty: the installation's own limit.", null=True
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="api_keys", to="accounts.account"
                    ),
                ),
                (
                    "replaced_by",
                    models.ForeignKey(
                        blank=True,
                        help_text="The key it was rotated to; it works until it expires.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="replaces",
                        to="accounts.apikey",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        help_text="Who made it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_keys",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("mode__in", ["live", "test"])), name="api_key_mode_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiUsageLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("api_key_prefix", models.CharField(blank=True, max_length=12)),
                ("mode", models.CharField(blank=True, max_length=4)),
                ("endpoint", models.CharField(help_text="The route, without the ids in it.", max_length=120)),
                ("method", models.CharField(max_length=10)),
                ("status_code", models.PositiveSmallIntegerField()),
                ("error_code", models.CharField(blank=True, max_length=40)),
                ("response_time_ms", models.PositiveIntegerField()),
                ("request_size", models.PositiveIntegerField(help_text="Bytes of the body.")),
                ("response_size", models.PositiveIntegerField(help_text="Bytes of the body.")),
                ("ip_address", models.GenericIPAddressField(blank=True, null=True)),
                ("user_agent", models.CharField(blank=True, max_length=200)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "api_usage_logs",
                "indexes": [
                    models.Index(fields=["account", "-id"], name="api_usage_account"),
                    models.Index(fields=["created_at"], name="api_usage_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "api_key_prefix",
                    models.CharField(blank=True, help_text="Public part of the key that was used.", max_length=12),
                ),
                ("action", models.CharField(help_text="Subject and verb, e.g. campaign.paused", max_length=60)),
                ("target_type", models.CharField(blank=True, max_length=40)),
                ("target_id", models.CharField(blank=True, help_text="Its public id.", max_length=60)),
                ("before", models.JSONField(blank=True, default=dict)),
                ("after", models.JSONField(blank=True, default=dict)),
                ("ip_address", models.GenericIPAddressField(blank=True, null=True)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "position",
                    models.BigIntegerField(
                        help_text="Its place in the chain; empty until sealed.", null=True, unique=True
                    ),
                ),
                (
                    "hash",
                    models.CharField(
                        blank=True, help_text="SHA-256 over the hash before it and this row.", max_length=64
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account", "-id"], name="audit_account"),
                    models.Index(fields=["target_type", "target_id"], name="audit_target"),
                    models.Index(condition=models.Q(("position", None)), fields=["id"], name="audit_unsealed"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("top_up", "Top-up"),
                            ("charge", "Charged"),
                            ("refund", "Charge taken back"),
                            ("correction", "Correction by an operator"),
                        ],
                        max_length=10,
                    ),
                ),
                ("amount_micro", models.BigIntegerField(help_text="Signed: what it adds to the credit.")),
                ("balance_micro", models.BigIntegerField(help_text="The credit after it, with what is reserved.")),
                ("campaign_id", models.BigIntegerField(blank=True, help_text="The campaign it belongs to.", null=True)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="ledger", to="accounts.account"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "indexes": [
                    models.Index(fields=["account", "-id"], name="ledger_list"),
                    models.Index(
                        condition=models.Q(("campaign_id__isnull", False)),
                        fields=["campaign_id"],
                        name="ledger_campaign",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["top_up", "charge", "refund", "correction"])),
                        name="ledger_entry_kind_known",
                    )
                ],
            },
        ),
        migrations.AddField(
            model_name="user",
            name="accounts",
            field=models.ManyToManyField(related_name="users", through="accounts.Membership", to="accounts.account"),
        ),
    ]
