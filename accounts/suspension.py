"""Suspending and reinstating accounts: by an operator, or within seconds once one looks like abuse.

Whoever notices abuse is often inside a transaction that is about to be rolled back, so an alarm is noted in Redis and
applied by a task. While Redis is down it is only logged: what raised it was refused in any case.
"""

import logging

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.choices import EventType, Mode
from accounts.models import Account, User
from accounts.security import audit
from accounts.webhooks import emit
from smsapp.core.enqueue import enqueue
from smsapp.core.exceptions import AccountSuspended
from smsapp.lib.sentences import Sentence, as_sentence, read

logger = logging.getLogger(__name__)

TASK = "accounts.heed_alarms"
MAX_REASON = 200  # characters


def require_active(account: Account) -> None:
    """Raises AccountSuspended for an account that an operator has suspended."""
    if not account.is_active:
        raise AccountSuspended(_("This account is suspended and cannot send. Contact the operator."))


def suspend_account(account: Account, by: User | None = None, reason: str | Sentence = "") -> None:
    """Stop an account's sending. When this returns, no gateway call begins for it any more.

    The row is written twice: at once, so that nothing new begins, and again under the lock that conflicts with the one
    dispatch takes before it commits an attempt (`messaging/storage/message_rows.py`), which waits for those under way.
    """
    Account.objects.filter(pk=account.pk).update(is_active=False)
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(pk=account.pk)
        locked.is_active = False
        locked.save(update_fields=["is_active", "updated_at"])
        _record("held", account, by, reason)
    account.is_active = False
    logger.warning("account %s is suspended", account.pk)


def reinstate_account(account: Account, by: User | None = None) -> None:
    """Let a suspended account send again."""
    with transaction.atomic():
        Account.objects.filter(pk=account.pk).update(is_active=True, hold_reason="")
        _record("released", account, by)
    account.is_active = True
    logger.warning("account %s is reinstated", account.pk)


def raise_alarm(account_id: int, reason: Sentence) -> None:
    """Have an account suspended within seconds; `reason` is for the operator and the customer. Raises nothing."""
    logger.error("alarm for account %s: %s", account_id, reason.english)
    try:
        get_redis_connection("default").hset(_key(), str(account_id), reason.stored(MAX_REASON))
    except RedisError as error:
        logger.error("the alarm could not be noted: %s", error)
    enqueue(TASK)


def apply_alarms() -> int:
    """Suspend every account for which an alarm was raised. Return how many were active before."""
    try:
        noted = get_redis_connection("default").hgetall(_key())
    except RedisError as error:
        logger.warning("alarms cannot be read: %s", error)
        return 0
    suspended = 0
    for field, reason in noted.items():
        account = Account.objects.filter(pk=int(field)).first()
        if account is not None and account.is_active:
            suspend_for(account, read(reason.decode()))
            suspended += 1
        get_redis_connection("default").hdel(_key(), field)
    return suspended


def suspend_for(account: Account, reason: str | Sentence) -> None:
    """Suspend an account and show why: in the console, in the audit log, and to its own systems."""
    Account.objects.filter(pk=account.pk).update(hold_reason=reason)
    suspend_account(account, reason=reason)
    with transaction.atomic():
        emit(account.pk, Mode.LIVE, EventType.ACCOUNT_HELD, {"hold_reason": as_sentence(reason).english})


def _record(verb: str, account: Account, by: User | None, reason: str | Sentence = "") -> None:
    audit.record(
        f"account.{verb}",
        account=account,
        by=by,
        target_type="account",
        target_id=str(account.pk),
        after={"reason": as_sentence(reason).english} if reason else None,
    )


def _key() -> str:
    return f"{settings.REDIS_KEY_PREFIX}:alarms"
