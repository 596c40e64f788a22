"""The request log: one row per call of the API, noted in Redis on the way out and stored in batches by a task.

A call is never delayed: a note is one push. While Redis is down, or nobody stores the notes, rows are lost; nothing but
this log depends on them. Neither bodies nor query strings are kept: they may hold numbers and texts.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.db import Error, transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.models import Account, ApiKey, ApiUsageLog, User
from smsapp.core.budget import Budget
from smsapp.core.purge import Purged, remove_oldest
from smsapp.core.redis import Pause
from smsapp.database.errors import is_outage

logger = logging.getLogger(__name__)

LOST_FOR = 5.0  # seconds after a failure in which Redis is not tried
MAX_WAITING = 100_000  # unstored rows beyond which the oldest are dropped
ROWS_AT_ONCE = 1000
SECONDS_AT_ONCE = 5.0

_lost = Pause(LOST_FOR)


def note(call: Mapping[str, Any]) -> None:
    """Note one call: the columns of ApiUsageLog by name, `created_at` in seconds since 1970. Raises nothing."""
    if _lost.is_on:
        return
    try:
        with get_redis_connection("default").pipeline(transaction=False) as pipe:
            pipe.rpush(_waiting(), orjson.dumps(call))
            pipe.ltrim(_waiting(), -MAX_WAITING, -1)
            route = f"{call['method']} {call['endpoint']}"
            pipe.hincrby(_counted(), f"{route} {call['status_code']}", 1)
            pipe.hincrby(_counted(), f"{route} ms", call["response_time_ms"])
            pipe.execute()
    except RedisError as error:
        _lost.begin()
        logger.warning("calls of the API are not noted: %s", error)


class Counts(NamedTuple):
    """Calls by (method, endpoint, status), and the seconds spent by (method, endpoint)."""

    requests: dict[tuple[str, str, str], int]
    seconds: dict[tuple[str, str], float]


def counts() -> Counts:
    """Return the counts since Redis began to count. Raises RedisError."""
    counted = Counts({}, {})
    for field, value in get_redis_connection("default").hgetall(_counted()).items():
        method, rest = field.decode().split(" ", 1)
        endpoint, what = rest.rsplit(" ", 1)
        if what == "ms":
            counted.seconds[method, endpoint] = int(value) / 1000
        else:
            counted.requests[method, endpoint, what] = int(value)
    return counted


def store() -> int:
    """Store what was noted. Return the number of rows."""
    budget = Budget(SECONDS_AT_ONCE)
    stored = 0
    try:
        while not budget.is_over and (taken := get_redis_connection("default").lpop(_waiting(), ROWS_AT_ONCE)):
            stored += _store_or_put_back(taken)
    except RedisError as error:
        logger.info("calls of the API wait to be stored: %s", error)
    return stored


def purge(now: datetime) -> Purged:
    """Forget calls older than API_USAGE_DAYS."""
    old = ApiUsageLog.objects.filter(created_at__lt=now - timedelta(days=settings.API_USAGE_DAYS))
    return remove_oldest(old, "created_at")


def _store_or_put_back(taken: list[bytes]) -> int:
    try:
        return _store([orjson.loads(row) for row in taken])
    except Error as error:
        if is_outage(error):  # they wait for the next time
            get_redis_connection("default").lpush(_waiting(), *reversed(taken))
        raise


def _store(calls: list[dict[str, Any]]) -> int:
    """Store rows. A refused call names the account of its key, if there is one, so that the customer sees it."""
    _name_accounts(calls)
    rows = [ApiUsageLog(**{**call, "created_at": datetime.fromtimestamp(call["created_at"], UTC)}) for call in calls]
    with transaction.atomic():
        ApiUsageLog.objects.bulk_create(rows)
    return len(rows)


def _name_accounts(calls: list[dict[str, Any]]) -> None:
    """Fill in the account of known keys; leave out people and accounts that are gone meanwhile."""
    prefixes = {call["api_key_prefix"] for call in calls if call["api_key_prefix"] and not call["account_id"]}
    keys = {key.prefix: key for key in ApiKey.objects.filter(prefix__in=prefixes)} if prefixes else {}
    for call in calls:
        if key := keys.get(call["api_key_prefix"]):
            call.update(account_id=key.account_id, user_id=key.user_id, mode=key.mode)
    accounts = _existing(Account, {call["account_id"] for call in calls})
    users = _existing(User, {call["user_id"] for call in calls})
    for call in calls:
        call["account_id"] = call["account_id"] if call["account_id"] in accounts else None
        call["user_id"] = call["user_id"] if call["user_id"] in users else None


def _existing(model: type[Account] | type[User], ids: set[int | None]) -> set[int]:
    known = [pk for pk in ids if pk is not None]
    return set(model._default_manager.filter(pk__in=known).values_list("pk", flat=True))


def _waiting() -> str:
    return f"{settings.REDIS_KEY_PREFIX}:api-usage"


def _counted() -> str:
    return f"{settings.REDIS_KEY_PREFIX}:api-calls"
