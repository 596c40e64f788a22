from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0004_what_waits_for_long"),
    ]

    operations = [
        migrations.AlterField(
            model_name="campaign",
            name="pause_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("by_user", "Paused by a person"),
                    ("gateway_refused", "The gateway refuses our account"),
                    ("messages_refused", "The gateway refuses one message after the other"),
                    ("canary", "Too few of the first recipients got it"),
                    ("no_credit", "The credit does not suffice"),
                    ("defect", "Something is wrong on our side"),
                ],
                max_length=20,
            ),
        ),
    ]
