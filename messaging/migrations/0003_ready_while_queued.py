from django.db import migrations, models

#: A batch waited with all that was queued in it while one of its calls was looked up.
READY = "UPDATE messaging_batch SET state = 'ready' WHERE state = 'unknown' AND queued > 0"


class Migration(migrations.Migration):
    dependencies = [("messaging", "0002_message_storage_and_view")]

    operations = [
        migrations.AlterField(
            "batch",
            "state",
            models.CharField(
                choices=[
                    ("held", "Held until its release time, or while nothing of its campaign may leave"),
                    ("ready", "Ready"),
                    ("leased", "A worker holds it"),
                    ("unknown", "Nothing is queued, and an outcome is being looked up"),
                    ("done", "Nothing left to hand over"),
                ],
                default="ready",
                max_length=8,
            ),
        ),
        migrations.RunSQL(READY, migrations.RunSQL.noop),
    ]
