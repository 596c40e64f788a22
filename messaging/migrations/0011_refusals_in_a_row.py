import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0005_messages_refused"),
        ("messaging", "0010_no_receipt"),
    ]

    operations = [
        migrations.CreateModel(
            name="RefusalRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gateway", models.CharField(max_length=40)),
                ("why", models.CharField(blank=True, max_length=200)),
                ("count", models.PositiveIntegerField(default=0)),
                (
                    "taken",
                    models.BigIntegerField(help_text="What the gateway had taken of the campaign; more ends the row."),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refusal_rows",
                        to="campaigns.campaign",
                    ),
                ),
            ],
            options={
                "verbose_name": "row of refusals",
                "verbose_name_plural": "rows of refusals",
                "constraints": [models.UniqueConstraint(fields=("campaign", "gateway"), name="refusal_row_once")],
            },
        ),
    ]
