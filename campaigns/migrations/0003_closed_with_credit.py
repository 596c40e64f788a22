"""Closed campaigns that hold credit are found account by account, however many that are open hold some."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_purge_callbacks"),
        ("campaigns", "0002_draftplan"),
        ("uploads", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="campaign",
            name="campaign_reserved",
        ),
        migrations.AddIndex(
            model_name="campaign",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", False), ("reserved_micro__gt", 0)),
                fields=["account", "id"],
                name="campaign_reserved",
            ),
        ),
    ]
