"""The view `sms_messages`, and operations around it.

SQLite remakes a table to change it, and cannot while a view names it: a migration that changes messages, batches or
campaigns takes the view away first and puts it back at its end.
"""

from django.db import migrations

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


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
       CASE m.status WHEN 3 THEN '' ELSE m.reason END AS error_message,
       b.created_at
FROM messaging_message m
JOIN sms_campaigns c ON c.id = m.campaign_id
JOIN messaging_batch b ON b.id = (m.id >> 10)
"""  # noqa: S608  (constants only)

# --- since ids are sealed: `messaging/seal.py` -----------------------------------------------------------------------

_HALF, _MASK = 22, (1 << 22) - 1
_KEYS = ", ".join(
    f"max(CASE WHEN key = 'message_id_seal_{place}' THEN CAST(value AS bigint) END) AS k{place}" for place in range(9)
)


def _sealed() -> str:
    left, right = f"(m.id >> {10 + _HALF})", f"((m.id >> 10) & {_MASK})"
    for place in range(1, 9, 2):
        square = f"({right} * ({right} + seal.k{place})) % 2147483647"
        mixed = f"((({square}) * seal.k{place + 1}) >> 31) & {_MASK}"
        left, right = right, f"(({left} + ({mixed})) & {_MASK})"
    return f"((({1 << 44} | ({left} << {_HALF}) | {right}) << 10) | (m.id & 1023))"


_SEALED_DIGITS = " || ".join(character(f"((s.id >> {shift}) & 31)") for shift in range(50, -1, -5))
_PREFIX, _REST = (
    VIEW.split("(SELECT value FROM settings WHERE key = 'installation_prefix')")[0],
    VIEW.split("AS message_id,")[1],
)
#: LIMIT keeps the number from being calculated anew for each of its digits.
SEALED_VIEW = f"""{_PREFIX}(SELECT value FROM settings WHERE key = 'installation_prefix') || (
           SELECT {_SEALED_DIGITS} || {character("s.id % 29")}
           FROM (SELECT CASE WHEN (m.id >> 10) > seal.k0 THEN {_sealed()} ELSE m.id END AS id LIMIT 1) s
       ) AS message_id,{_REST}CROSS JOIN (SELECT {_KEYS} FROM settings WHERE key LIKE 'message_id_seal_%') seal
"""  # noqa: S608  (constants only)


DROP = "DROP VIEW IF EXISTS sms_messages"


def make_view() -> migrations.RunSQL:
    return migrations.RunSQL(VIEW, DROP)


def seal_view() -> list[migrations.RunSQL]:
    return [migrations.RunSQL(DROP, VIEW), migrations.RunSQL(SEALED_VIEW, DROP)]


def drop_view() -> migrations.RunSQL:
    return migrations.RunSQL(DROP, VIEW)
