"""Campaigns that are not closed are found in the order of their keys."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_purge_callbacks"),
        ("campaigns", "0003_closed_with_credit"),
        ("uploads", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="campaign",
            index=models.Index(condition=models.Q(("closed_at", None)), fields=["id"], name="campaign_not_closed"),
        ),
    ]
