"""Room for two updates per message row (PostgreSQL), and the customer's read-only table `sms_messages` as a view."""

from django.db import migrations

from messaging.migrations._view import make_view

# The first update (accepted) and the second (delivery report) stay on the row's own page: heap-only, no index write.
STORAGE = (
    "ALTER TABLE messaging_message SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.05)"
)


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(STORAGE)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial"), ("accounts", "0002_installation_prefix")]
    operations = [
        migrations.RunPython(set_storage, migrations.RunPython.noop),
        make_view(),
    ]
