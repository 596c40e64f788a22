"""Known states of a message as a range: for a list of them SQLite builds a table of its own at every row."""

from django.db import migrations, models

from messaging.migrations._view import drop_view, make_view


class Migration(migrations.Migration):
    dependencies = [("messaging", "0005_inbound")]
    operations = [
        drop_view(),
        migrations.RemoveConstraint("message", "message_status_known"),
        migrations.AddConstraint(
            "message",
            models.CheckConstraint(condition=models.Q(status__range=(1, 11)), name="message_status_known"),
        ),
        make_view(),
    ]
