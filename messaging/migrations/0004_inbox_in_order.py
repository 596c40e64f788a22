"""Waiting bodies of delivery reports are found in the order in which they are taken, however many wait."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_ready_while_queued")]

    operations = [
        migrations.RemoveIndex("reportinbox", "inbox_waiting"),
        migrations.AddIndex(
            "reportinbox",
            models.Index(fields=["next_attempt_at", "id"], name="inbox_waiting", condition=models.Q(applied_at=None)),
        ),
    ]
