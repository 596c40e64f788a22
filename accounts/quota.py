"""How many messages an account may have accepted in one day (UTC)."""

from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import Account, DailyUse
from smsapp.exceptions import QuotaExceeded


def count(account: Account, messages: int) -> date | None:
    """Count messages against today's limit, in the transaction that accepts them; the day they count in, None for an
    account without a limit. Raises QuotaExceeded and counts nothing; exact under any concurrency."""
    limit = account.daily_message_limit
    if limit is None:
        return None
    today = timezone.now().date()
    if messages > limit or not _add(account.pk, today, messages, limit):
        used = DailyUse.objects.filter(account=account, day=today).values_list("message_count", flat=True).first() or 0
        resets_at = datetime.combine(today + timedelta(days=1), time(), UTC)
        raise QuotaExceeded(
            f"This account may send {limit:,} messages a day; {used:,} are used.",
            limit=limit, used=used, requested=messages, resets_at=resets_at.isoformat().replace("+00:00", "Z"),
        )  # fmt: skip
    return today


def give_back(account_id: int, day: date | None, messages: int) -> None:
    """What was accepted and taken back as a whole before anything was sent counts no more."""
    if day is not None:
        DailyUse.objects.filter(account=account_id, day=day, message_count__gte=messages).update(
            message_count=F("message_count") - messages
        )


def _add(account_id: int, day: date, messages: int, limit: int) -> bool:
    table = DailyUse._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (account_id, day, message_count) VALUES (%s, %s, %s) "  # noqa: S608
            "ON CONFLICT (account_id, day) DO UPDATE SET message_count = "
            f"{table}.message_count + excluded.message_count "
            f"WHERE {table}.message_count + excluded.message_count <= %s RETURNING message_count",
            [account_id, connection.ops.adapt_datefield_value(day), messages, limit],
        )
        return cursor.fetchone() is not None
