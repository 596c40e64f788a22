"""Delta rows for statistics; when missing and unmatched reports are looked at again."""

from django.db import migrations, models

from messaging.migrations._view import drop_view, make_view

STATUSES = (
    "queued, sent, delivered, undelivered, rejected, failed, expired, cancelled, suppressed, unknown, unconfirmed"
)
# Batches that were there before: their tallies are their first change.
TAKE_STOCK = f"""
INSERT INTO messaging_statdelta (batch_id, {STATUSES}, segments)
SELECT b.id, {STATUSES},
       COALESCE((SELECT SUM(m.segment_count) FROM messaging_message m
                 WHERE m.id BETWEEN b.id * 1024 AND b.id * 1024 + 1023 AND m.status IN (3, 5, 6)), 0)
FROM messaging_batch b
"""  # noqa: S608  (constants only)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_installation_prefix"),
        ("campaigns", "0002_resend_of"),
        ("messaging", "0002_message_storage_and_view"),
    ]

    operations = [
        drop_view(),
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
        migrations.AddField(
            model_name="batch",
            name="report_check_at",
            field=models.DateTimeField(blank=True, help_text="When missing reports are looked up.", null=True),
        ),
        migrations.AddField(
            model_name="batch",
            name="report_check_count",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="reportinbox",
            name="rematch_at",
            field=models.DateTimeField(blank=True, help_text="When its unmatched reports are tried again.", null=True),
        ),
        migrations.AlterField(
            model_name="deliveryreport",
            name="source",
            field=models.CharField(
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
        migrations.AlterField(
            model_name="reportinbox",
            name="source",
            field=models.CharField(
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
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("sent__gt", 0)), fields=["report_check_at"], name="batch_report_check"
            ),
        ),
        migrations.AddIndex(
            model_name="reportinbox",
            index=models.Index(
                condition=models.Q(("rematch_at__isnull", False)), fields=["rematch_at"], name="inbox_unmatched"
            ),
        ),
        migrations.AlterField(
            model_name="reportinbox",
            name="unmatched_count",
            field=models.PositiveIntegerField(default=0, help_text="Reports that found no message."),
        ),
        migrations.AlterField(
            model_name="batch",
            name="state",
            field=models.CharField(
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
        migrations.RunSQL(TAKE_STOCK, migrations.RunSQL.noop),
        make_view(),
    ]
