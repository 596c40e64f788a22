"""What waits for long is found without reading what waits beside it; one state to an index, as SQLite uses them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_purge_callbacks"),
        ("campaigns", "0004_what_waits_for_long"),
        ("messaging", "0007_uncharged_by_account"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="attempt",
            name="attempt_unsettled",
        ),
        migrations.RemoveIndex(
            model_name="batch",
            name="batch_to_sweep",
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(condition=models.Q(("state", "open")), fields=["deadline"], name="attempt_open"),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("next_lookup_at", None), ("state", "unknown")),
                fields=["id"],
                name="attempt_forgotten",
            ),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(condition=models.Q(("state", "leased")), fields=["lease_until"], name="batch_leased"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(condition=models.Q(("state", "unknown")), fields=["id"], name="batch_unknown"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(("report_check_at", None), ("report_check_count", 0), ("sent__gt", 0)),
                fields=["id"],
                name="batch_unplanned",
            ),
        ),
    ]
