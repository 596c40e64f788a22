"""New rows get their times from the database's clock. The columns stay as they are: defaults are given by us."""

from django.db import migrations, models

import smsapp.core.clock


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_purge_callbacks"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="webhookattempt",
                    name="started_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
                migrations.AlterField(
                    model_name="webhookdelivery",
                    name="created_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
                migrations.AlterField(
                    model_name="webhookdelivery",
                    name="next_attempt_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
            ],
        ),
    ]
