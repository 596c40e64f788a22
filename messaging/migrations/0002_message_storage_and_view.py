"""How PostgreSQL keeps messages and bodies of reports, and the customer's read-only table `sms_messages` as a view."""

from django.db import migrations

from messaging.migrations._view import make_view

# Both updates of a message (accepted, delivery report) stay on the row's own page, whatever its values: heap-only, no
# index write.
STORAGE = (
    "ALTER TABLE messaging_message SET (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.05)"
)


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(STORAGE)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        row = cursor.fetchone()
    if row and row[0]:  # a server may be built without; the default takes ten times as long
        schema_editor.execute("ALTER TABLE messaging_reportinbox ALTER COLUMN body SET COMPRESSION lz4")


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial"), ("accounts", "0002_installation_prefix")]
    operations = [
        migrations.RunPython(set_storage, migrations.RunPython.noop),
        make_view(),
    ]
