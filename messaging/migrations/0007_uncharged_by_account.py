"""Batches that the ledger does not know are found account by account."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_purge_callbacks"),
        ("campaigns", "0003_closed_with_credit"),
        ("messaging", "0006_look_ups_by_gateway"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="batch",
            name="batch_uncharged",
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(
                condition=models.Q(
                    ("price_micro__gt", 0), models.Q(("segments", models.F("charged_segments")), _negated=True)
                ),
                fields=["account", "campaign", "id"],
                name="batch_uncharged",
            ),
        ),
    ]
