"""New rows get their times from the database's clock. The columns stay as they are: defaults are given by us."""

from django.db import migrations, models

import smsapp.core.clock


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0008_what_waits_for_long"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="attempt",
                    name="started_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
                migrations.AlterField(
                    model_name="batch",
                    name="created_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now, editable=False),
                ),
                migrations.AlterField(
                    model_name="batch",
                    name="next_attempt_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
                migrations.AlterField(
                    model_name="deliveryreport",
                    name="received_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
                migrations.AlterField(
                    model_name="reportinbox",
                    name="next_attempt_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now),
                ),
                migrations.AlterField(
                    model_name="reportinbox",
                    name="received_at",
                    field=models.DateTimeField(default=smsapp.core.clock.about_now, editable=False),
                ),
            ],
        ),
    ]
