"""How many messages an account can have accepted, and how much it can spend, in one day (UTC)."""

from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from accounts.billing.credit import amount_of
from accounts.choices import EventType, Mode
from accounts.models import Account, DailyUse
from accounts.suspension import raise_alarm
from accounts.webhooks import emit
from smsapp.core import clock
from smsapp.core.exceptions import QuotaExceeded, SpendLimitReached
from smsapp.lib.moments import utc_text
from smsapp.lib.sentences import Sentence

ALERTS = (50, 80, 100)  # hundredths of a day's spending limit


def count(account: Account, messages: int) -> date | None:
    """Count messages against today's limit, in the transaction that accepts them.

    Return the day they count in, None for an account without a limit. Raises QuotaExceeded and counts nothing; exact
    under any concurrency.
    """
    limit = account.daily_message_limit
    if limit is None:
        return None
    today = clock.about_now().date()
    if messages > limit or not _add(account.pk, today, messages, limit):
        used = DailyUse.objects.filter(account=account, day=today).values_list("message_count", flat=True).first() or 0
        resets_at = datetime.combine(today + timedelta(days=1), time(), UTC)
        raise QuotaExceeded(
            Sentence(
                gettext_noop("This account can send %(limit)s messages a day, of which %(used)s are used."),
                limit=f"{limit:,}",
                used=f"{used:,}",
            ),
            limit=limit,
            used=used,
            requested=messages,
            resets_at=utc_text(resets_at),
        )
    return today


def spend(account: Account, amount: int) -> date | None:
    """Count an amount, in millionths, against today's spending limit, in the accepting transaction.

    Return the day it counts in, None for an account without a limit. The account is notified as it passes each of
    ALERTS. Raises SpendLimitReached and counts nothing; an alarm is raised, too, which suspends the account.
    """
    limit = account.daily_spend_limit_micro
    if limit is None or not amount:
        return None
    today = clock.about_now().date()
    spent = _add_cost(account.pk, today, amount, limit) if amount <= limit else None
    if spent is None:
        raise_alarm(
            account.pk,
            Sentence(
                gettext_noop("It reached its limit of %(amount)s %(currency)s a day."),
                amount=f"{amount_of(limit):f}",
                currency=account.currency,
            ),
        )
        raise SpendLimitReached(
            _("This would cost more than the account can spend in a day."),
            limit=str(amount_of(limit)),
            needed=str(amount_of(amount)),
            currency=account.currency,
        )
    for percent in ALERTS:
        if spent - amount < limit * percent // 100 <= spent:
            data = {"percent": percent, "spent": str(amount_of(spent)), "limit": str(amount_of(limit))}
            emit(account.pk, Mode.LIVE, EventType.SPEND_ALERT, {**data, "currency": account.currency})
    return today


def give_back(account_id: int, day: date | None, messages: int, cost: int = 0) -> None:
    """Uncount what was accepted and undone as a whole before anything was sent."""
    if day is None:
        return
    used = DailyUse.objects.filter(account_id=account_id, day=day)
    used.filter(message_count__gte=messages).update(message_count=F("message_count") - messages)
    used.filter(spent_micro__gte=cost).update(spent_micro=F("spent_micro") - cost)


def _add_cost(account_id: int, day: date, amount: int, limit: int) -> int | None:
    """Return what is spent then; None, and nothing is counted, if it exceeds the limit."""
    table = DailyUse._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (account_id, day, message_count, spent_micro) VALUES (%s, %s, 0, %s) "  # noqa: S608
            f"ON CONFLICT (account_id, day) DO UPDATE SET spent_micro = {table}.spent_micro + excluded.spent_micro "
            f"WHERE {table}.spent_micro + excluded.spent_micro <= %s RETURNING spent_micro",
            [account_id, connection.ops.adapt_datefield_value(day), amount, limit],
        )
        found = cursor.fetchone()
    return found[0] if found else None


def _add(account_id: int, day: date, messages: int, limit: int) -> bool:
    table = DailyUse._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (account_id, day, message_count, spent_micro) VALUES (%s, %s, %s, 0) "  # noqa: S608
            "ON CONFLICT (account_id, day) DO UPDATE SET message_count = "
            f"{table}.message_count + excluded.message_count "
            f"WHERE {table}.message_count + excluded.message_count <= %s RETURNING message_count",
            [account_id, connection.ops.adapt_datefield_value(day), messages, limit],
        )
        return cursor.fetchone() is not None
