"""An audience may come from the messages of an earlier campaign."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("uploads", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="audience",
            name="source",
            field=models.CharField(
                choices=[
                    ("upload", "Uploaded file"),
                    ("request", "Numbers in a request"),
                    ("resend", "Messages of an earlier campaign"),
                ],
                max_length=8,
            ),
        ),
    ]
