"""What is due to be looked up is found gateway by gateway, however much of one waits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_purge_callbacks"),
        ("campaigns", "0002_draftplan"),
        ("messaging", "0005_indexes_for_what_waits"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="batch",
            name="batch_report_check",
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("state", "unknown")),
                fields=["gateway", "next_lookup_at"],
                name="attempt_to_look_up",
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("sent__gt", 0)), fields=["gateway", "report_check_at"], name="batch_report_check"
            ),
        ),
    ]
