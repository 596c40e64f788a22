"""Room so that both updates of a message stay on its page, whatever its values; bodies of reports compressed by LZ4."""

from django.db import migrations


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute("ALTER TABLE messaging_message SET (fillfactor = 45)")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        row = cursor.fetchone()
    if row and row[0]:  # a server may be built without; the default takes ten times as long
        schema_editor.execute("ALTER TABLE messaging_reportinbox ALTER COLUMN body SET COMPRESSION lz4")


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_statistics_and_report_checks")]
    operations = [migrations.RunPython(set_storage, migrations.RunPython.noop)]
