"""Room for two updates per message row (PostgreSQL), and the customer's read-only table `sms_messages` as a view."""

from django.db import migrations

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# The first update (accepted) and the second (delivery report) stay on the row's own page: heap-only, no index write.
STORAGE = (
    "ALTER TABLE messaging_message SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.05)"
)


def character(index: str) -> str:
    return f"substr('{ALPHABET}', CAST({index} AS integer) + 1, 1)"


DIGITS = " || ".join(character(f"((m.id >> {shift}) & 31)") for shift in range(50, -1, -5))
VIEW = f"""
CREATE VIEW sms_messages AS
SELECT (SELECT value FROM settings WHERE key = 'installation_prefix') || {DIGITS} || {character("m.id % 29")}
           AS message_id,
       m.campaign_id AS campaign,
       c.bulk_id,
       m.phone_number,
       c.message,
       m.variables,
       c.sender_id,
       CASE m.status WHEN 1 THEN 'PENDING' WHEN 2 THEN 'UNKNOWN' WHEN 3 THEN 'SENT' WHEN 4 THEN 'UNCONFIRMED'
           WHEN 5 THEN 'DELIVERED' WHEN 6 THEN 'UNDELIVERED' WHEN 7 THEN 'REJECTED' WHEN 8 THEN 'FAILED'
           WHEN 9 THEN 'EXPIRED' WHEN 10 THEN 'CANCELLED' WHEN 11 THEN 'SUPPRESSED' END AS status,
       m.sent_at,
       CASE m.status WHEN 5 THEN m.done_at END AS delivered_at,
       m.reason AS error_message,
       b.created_at
FROM messaging_message m
JOIN sms_campaigns c ON c.id = m.campaign_id
JOIN messaging_batch b ON b.id = (m.id >> 10)
"""  # noqa: S608  (constants only)


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(STORAGE)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial"), ("accounts", "0002_installation_prefix")]
    operations = [
        migrations.RunPython(set_storage, migrations.RunPython.noop),
        migrations.RunSQL(VIEW, "DROP VIEW sms_messages"),
    ]
