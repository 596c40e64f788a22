import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("accounts", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="Audience",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("upload", "Uploaded file"),
                            ("request", "Numbers in a request"),
                            ("resend", "Messages of an earlier campaign"),
                            ("contacts", "Contact list"),
                            ("empty", "Nobody yet"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "columns",
                    models.JSONField(
                        default=list, help_text="Names of the variables every recipient carries, in order."
                    ),
                ),
                ("chunk_count", models.PositiveIntegerField(default=0)),
                ("recipient_count", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.account"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ContactList",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("list_id", models.CharField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=120)),
                ("contact_count", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="contact_lists", to="accounts.account"
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
                "constraints": [models.UniqueConstraint(fields=("account", "name"), name="contact_list_name_once")],
            },
        ),
        migrations.CreateModel(
            name="Contact",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("phone_number", models.CharField(max_length=16)),
                ("values", models.JSONField(blank=True, default=dict, help_text="By placeholder name.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "contact_list",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="contacts", to="uploads.contactlist"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("contact_list", "phone_number"), name="contact_once_per_list")
                ],
            },
        ),
        migrations.CreateModel(
            name="OptOutEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("phone_hash", models.CharField(max_length=32)),
                ("phone_hint", models.CharField(blank=True, max_length=8)),
                ("is_out", models.BooleanField(help_text="Left; else came back.")),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("keyword", "Reply of the handset"),
                            ("provider", "Told by the provider"),
                            ("link", "Link in a message"),
                            ("api", "API"),
                            ("file", "File"),
                            ("person", "Person"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "detail",
                    models.CharField(blank=True, help_text="The message, reason or file it came from.", max_length=200),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="opt_out_events",
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
                "indexes": [models.Index(fields=["account", "phone_hash", "-id"], name="opt_out_ledger")],
            },
        ),
        migrations.CreateModel(
            name="Suppression",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "phone_hash",
                    models.CharField(help_text="Keyed hash of the E.164 number; its key never rotates.", max_length=32),
                ),
                (
                    "phone_hint",
                    models.CharField(blank=True, help_text="Last two digits, for a person to recognise.", max_length=8),
                ),
                ("reason", models.CharField(blank=True, max_length=200)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("keyword", "Reply of the handset"),
                            ("provider", "Told by the provider"),
                            ("link", "Link in a message"),
                            ("api", "API"),
                            ("file", "File"),
                            ("person", "Person"),
                        ],
                        default="person",
                        max_length=8,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="suppressions", to="accounts.account"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("account", "phone_hash"), name="suppression_once_per_account")
                ],
            },
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("upload_id", models.CharField(max_length=40, unique=True)),
                ("filename", models.CharField(help_text="Our own name on disk; never the customer's.", max_length=80)),
                ("original_filename", models.CharField(max_length=200)),
                ("file_size", models.PositiveBigIntegerField(help_text="Bytes.")),
                ("checksum", models.CharField(help_text="SHA-256 of the file.", max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("uploaded", "Uploaded"),
                            ("processing", "Processing"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                            ("retired", "Retired"),
                        ],
                        default="uploaded",
                        max_length=10,
                    ),
                ),
                ("failure_reason", models.CharField(blank=True, max_length=300)),
                ("uploaded_at", models.DateTimeField(auto_now_add=True)),
                ("processed_at", models.DateTimeField(blank=True, null=True)),
                ("file_removed_at", models.DateTimeField(blank=True, null=True)),
                ("encoding", models.CharField(blank=True, max_length=20)),
                ("delimiter", models.CharField(blank=True, help_text="Empty: one number a line.", max_length=1)),
                ("has_header", models.BooleanField(default=False)),
                (
                    "columns",
                    models.JSONField(default=list, help_text="Column names, from the header or column_1, column_2 …"),
                ),
                ("phone_column", models.PositiveSmallIntegerField(default=0)),
                ("country", models.CharField(help_text="Country of numbers in national format.", max_length=2)),
                ("bytes_read", models.PositiveBigIntegerField(default=0)),
                ("row_count", models.PositiveIntegerField(default=0, help_text="All rows, without the header.")),
                ("phone_count", models.PositiveIntegerField(default=0, help_text="Rows that became recipients.")),
                ("invalid_count", models.PositiveIntegerField(default=0)),
                ("duplicate_count", models.PositiveIntegerField(default=0)),
                ("lease_owner", models.CharField(blank=True, max_length=80)),
                ("lease_epoch", models.PositiveIntegerField(default=0)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="uploads", to="accounts.account"
                    ),
                ),
                (
                    "audience",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="upload",
                        to="uploads.audience",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="uploads", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "file_uploads",
                "indexes": [
                    models.Index(fields=["account", "-id"], name="upload_list"),
                    models.Index(fields=["status", "lease_until"], name="upload_work"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["uploaded", "processing", "ready", "failed", "retired"])),
                        name="upload_status_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AudienceChunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(help_text="0, 1, 2 … in the order of the file.")),
                ("body", models.BinaryField()),
                ("refused", models.BinaryField()),
                ("good_count", models.PositiveIntegerField()),
                ("bad_count", models.PositiveIntegerField()),
                (
                    "last_row",
                    models.PositiveIntegerField(help_text="Number of the last row that went into this chunk."),
                ),
                (
                    "checksum",
                    models.CharField(help_text="SHA-256 of body; what an approval is bound to.", max_length=64),
                ),
                (
                    "prefix_counts",
                    models.JSONField(default=dict, help_text="Recipients by the first four digits of their numbers."),
                ),
                (
                    "audience",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="chunks", to="uploads.audience"
                    ),
                ),
            ],
            options={
                "ordering": ["audience", "number"],
                "constraints": [
                    models.UniqueConstraint(fields=("audience", "number"), name="audience_chunk_number_once")
                ],
            },
        ),
    ]
