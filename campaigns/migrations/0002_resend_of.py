"""A campaign that sends the failed messages of another again."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
    ]

    operations = [
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
    ]
