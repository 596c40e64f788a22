import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="DailyStat",
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
                ("mode", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("day", models.DateField(help_text="In UTC: the day on which the batches were made.")),
                ("segments", models.IntegerField(default=0, help_text="Of messages that a provider took.")),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "daily statistics",
                "constraints": [
                    models.UniqueConstraint(fields=("account", "mode", "day"), name="daily_stat_once_per_day"),
                    models.CheckConstraint(
                        condition=models.Q(("mode__in", ["live", "test"])), name="daily_stat_mode_known"
                    ),
                ],
            },
        ),
    ]
