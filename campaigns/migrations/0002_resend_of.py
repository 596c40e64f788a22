"""A campaign that sends the failed messages of another again.

SQLite remakes the table, and cannot while the view names it: messaging's next migration makes the view again.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL("DROP VIEW IF EXISTS sms_messages", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="campaign",
            name="resend_of",
            field=models.ForeignKey(
                blank=True,
                help_text="The campaign whose failed messages this one sends again, as new messages.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="resends",
                to="campaigns.campaign",
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="resend_statuses",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Statuses of the messages of `resend_of` that it sends again, by name.",
            ),
        ),
    ]
