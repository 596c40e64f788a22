"""How often something may happen: fixed windows, counted in Redis for all processes together.

A window begins with the first event in it and ends `window` seconds later, so a caller that waits as long as it is told
can go on. Several buckets are counted in one atomic step: if one of them is full nothing is counted anywhere, so a
refused call costs nobody else anything. While Redis is down each process counts for itself with the same limits.

Not for money: what costs something is checked against rows in SQL.
"""

import logging
import math
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from smsapp.core.redis import Pause

logger = logging.getLogger(__name__)

EARLY = 50  # milliseconds by which a window ends before the second that a caller is told to wait for
LOST_FOR = 5.0  # seconds after a failure in which Redis is not tried: each try may cost its time-outs
MAX_LOCAL = 100_000  # windows that one process keeps while Redis is lost

_COUNT = """
local refused = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1]) then refused = 1 end
end
local answer = {refused}
for i, key in ipairs(KEYS) do
  local used
  if refused == 0 then
    used = redis.call('INCR', key)
    if used == 1 then redis.call('PEXPIRE', key, ARGV[2 * i]) end
  else
    used = tonumber(redis.call('GET', key) or '0')
  end
  answer[2 * i] = used
  answer[2 * i + 1] = redis.call('PTTL', key)
end
return answer
"""


_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
"""


class Bucket(NamedTuple):
    """At most `limit` events of this `name` in `window` seconds. `policy`: what a caller is told about it."""

    policy: str
    name: str
    limit: int
    window: int


class Standing(NamedTuple):
    """A bucket after an event: what is left, and the seconds until its window ends."""

    bucket: Bucket
    remaining: int
    resets_in: int


class Counted(NamedTuple):
    """`refused`: a bucket was full, and the event was counted in none."""

    refused: bool
    standings: list[Standing]

    @property
    def tightest(self) -> Standing:
        """Return the bucket that stops first: the full one that opens last, or the one with the least share left."""
        return min(self.standings, key=lambda one: (one.remaining / one.bucket.limit, -one.resets_in))


_lost = Pause(LOST_FOR)
_local: dict[str, tuple[int, float]] = {}
_lock = threading.Lock()


def count(buckets: Sequence[Bucket]) -> Counted:
    """Count one event in all buckets, or in none if one is full."""
    if not _lost.is_on:
        try:
            return _count_in_redis(buckets)
        except RedisError as error:
            _lost.begin()
            logger.warning("limits are counted by each process for itself: %s", error)
    return _count_here(buckets, time.monotonic())


def give_back(buckets: Sequence[Bucket]) -> None:
    """Uncount an event in all buckets: it turned out to be none."""
    if not _lost.is_on:
        try:
            script = get_redis_connection("default").register_script(_GIVE_BACK)
            script(keys=[_key_of(bucket) for bucket in buckets])
        except RedisError:
            _lost.begin()
        else:
            return
    with _lock:
        for bucket in buckets:
            used, ends_at = _local.get(bucket.name, (0, 0.0))
            _local[bucket.name] = (max(used - 1, 0), ends_at)


def _key_of(bucket: Bucket) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:limit:{bucket.name}"


def _count_in_redis(buckets: Sequence[Bucket]) -> Counted:
    keys = [_key_of(bucket) for bucket in buckets]
    arguments = [value for bucket in buckets for value in (bucket.limit, bucket.window * 1000 - EARLY)]
    script = get_redis_connection("default").register_script(_COUNT)
    refused, *answer = script(keys=keys, args=arguments)
    pairs = zip(answer[::2], answer[1::2], strict=True)
    return Counted(
        bool(refused),
        [
            Standing(bucket, max(bucket.limit - used, 0), math.ceil(max(left, 0) / 1000) if used else bucket.window)
            for bucket, (used, left) in zip(buckets, pairs, strict=True)
        ],
    )


def _count_here(buckets: Sequence[Bucket], now: float) -> Counted:
    with _lock:
        if len(_local) > MAX_LOCAL:
            _local.clear()
        windows = []
        for bucket in buckets:
            used, ends_at = _local.get(bucket.name, (0, 0.0))
            windows.append((used, ends_at) if ends_at > now else (0, now + bucket.window))
        refused = any(used >= bucket.limit for bucket, (used, _) in zip(buckets, windows, strict=True))
        if not refused:
            windows = [(used + 1, ends_at) for used, ends_at in windows]
            _local.update({bucket.name: window for bucket, window in zip(buckets, windows, strict=True)})
    return Counted(
        refused,
        [
            Standing(bucket, max(bucket.limit - used, 0), math.ceil(ends_at - now))
            for bucket, (used, ends_at) in zip(buckets, windows, strict=True)
        ],
    )
