"""Something that an account does looks like abuse: it is put on hold within seconds, and everybody is told.

Who notices it is often inside a transaction that is about to be rolled back, so an alarm is noted in Redis and heeded
by a task. While Redis is lost it is only logged: what raised it was refused in any case.
"""

import logging

from django.conf import settings
from django.db import transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.choices import EventType, Mode
from accounts.models import Account
from accounts.services import hold_account
from accounts.webhooks import emit
from smsapp.core.enqueue import wake

logger = logging.getLogger(__name__)

TASK = "accounts.heed_alarms"


def raise_alarm(account_id: int, reason: str) -> None:
    """`reason` in words for the operator and the customer. Raises nothing."""
    logger.error("alarm for account %s: %s", account_id, reason)
    try:
        get_redis_connection("default").hset(_key(), str(account_id), reason)
    except RedisError as error:
        logger.error("the alarm could not be noted: %s", error)
    wake(TASK)


def heed() -> int:
    """Hold every account for which an alarm was raised; how many were not on hold before."""
    try:
        noted = get_redis_connection("default").hgetall(_key())
    except RedisError as error:
        logger.warning("alarms cannot be read: %s", error)
        return 0
    held = 0
    for field, reason in noted.items():
        account = Account.objects.filter(pk=int(field)).first()
        if account is not None and account.is_active:
            hold_for(account, reason.decode())
            held += 1
        get_redis_connection("default").hdel(_key(), field)
    return held


def hold_for(account: Account, reason: str) -> None:
    """Hold an account and tell why: in the console, in the audit log, and to its own systems."""
    Account.objects.filter(pk=account.pk).update(hold_reason=reason[:200])
    hold_account(account, reason=reason)
    with transaction.atomic():
        emit(account.pk, Mode.LIVE, EventType.ACCOUNT_HELD, {"hold_reason": reason})


def _key() -> str:
    return f"{settings.REDIS_KEY_PREFIX}:alarms"
