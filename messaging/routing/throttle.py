"""How fast, and whether, we may call a gateway: one answer for all processes of an installation.

The rules are in `throttle_state.py`. The state of a gateway is one key in Redis, changed by compare-and-set (WATCH,
MULTI), with the Redis server's time as everybody's clock. Around a call:

    grant = take(gateway, wanted)                 before it; may_call asks the same and takes nothing
    report_outcome(gateway, grant, outcome, ...)  after it; give_back where less was sent than granted

Campaigns yield: where there is a rate, some of it is left for single sends.

Accounts and senders with a rate (`sender_rates.py`) are throttled in the same way under names of their own.

While nothing limits a gateway, a process answers from memory and updates Redis once a second. While Redis is down, each
process continues from what it last saw with its share of the rate, never unlimited.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Any

import orjson
from django.conf import settings
from django_redis import get_redis_connection
from redis import Redis
from redis.exceptions import RedisError, WatchError

from messaging.gateways import registry
from messaging.gateways.base import GatewayError, NotBegun, NotSent, Refused, Unknown
from messaging.routing import throttle_state
from messaging.routing.throttle_state import Grant, Limits, Pace, Slice

logger = logging.getLogger(__name__)

REMEMBERED = 3600  # seconds a state outlives its last change; longer than any closing
FROM_MEMORY = 1.0  # seconds for which a process answers from memory for an unlimited gateway
LOST_FOR = 5.0  # seconds after a failure in which Redis is not tried: each try may cost its time-outs
TRIES = 20  # tries of one compare-and-set, before the caller has to come again
CONTENDED_WAIT = 0.05  # seconds

Change = Callable[[Pace, Limits, float], tuple[Pace, Grant]]


class Outcome(Enum):
    """What a call says about the gateway, not about the messages in it."""

    ANSWERED = auto()  # whatever it said: a gateway that refuses is alive
    THROTTLED = auto()
    DOWN = auto()
    LOST = auto()  # the answer was lost: as down, and perhaps because of the call's size
    UNUSED = auto()  # no call was made with the grant


def outcome_of(error: GatewayError | None) -> Outcome:
    """Return the outcome. `error`: what the gateway's `submit` raised, None if it returned."""
    if error is None or isinstance(error, Refused):
        return Outcome.ANSWERED
    if isinstance(error, NotBegun):
        return Outcome.UNUSED
    if isinstance(error, Unknown):
        return Outcome.LOST
    return Outcome.THROTTLED if isinstance(error, NotSent) and error.throttled else Outcome.DOWN


def may_call(gateway: str, wanted: int = 1, *, yields: bool = False) -> Grant:
    """Return what `take` would grant now. Cheap, and takes nothing; true as a condition if a call may be made."""
    return _view_of(gateway).look(wanted, yields=yields)


def is_down(gateway: str) -> bool:
    """Return whether its breaker is open: calls have found it down, and no probe has found it up since."""
    return _view_of(gateway).is_down()


def take(gateway: str, wanted: int, *, yields: bool = False) -> Grant:
    """Take capacity for up to `wanted` messages."""
    return _view_of(gateway).take(wanted, yields=yields)


def may_send_within(name: str, rate: float, wanted: int, *, yields: bool = False) -> Grant:
    """Return what `take_within` would grant now."""
    return _view_within(name, rate).look(wanted, yields=yields)


def take_within(name: str, rate: float, wanted: int, *, yields: bool = False) -> Grant:
    """Like `take`, for any other rate-limited subject (an account, a sender), in messages a second."""
    return _view_within(name, rate).take(wanted, yields=yields)


def give_back(name: str, count: int) -> None:
    """Return capacity that was taken and not used, of a gateway or any other subject."""
    if count > 0:
        _view_of(name).give_back(count)


def report_outcome(gateway: str, grant: Grant, outcome: Outcome, retry_after: float | None = None) -> None:
    """Report the outcome of a grant's call. `retry_after`: seconds, if a 429 named a time."""
    _view_of(gateway).report_outcome(grant, outcome, retry_after)


class View:
    """What this process knows about one gateway.

    Its threads take turns, so that a Redis that hangs costs one of them its time-out and not each.
    """

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self.ceiling: float | None = None  # of a subject that is no gateway
        self._lock = threading.Lock()
        self._shared = Pace()  # as last seen in Redis
        self._own: Pace | None = None  # while Redis is lost
        self._clock_ahead = 0.0  # from our monotonic clock to the Redis server's time
        self._read_at = self._told_at = -FROM_MEMORY  # monotonic
        self._granted = self._answered = 0  # granted from memory, not in Redis yet

    def look(self, wanted: int, *, yields: bool = False) -> Grant:
        with self._lock:
            if not self._is_free(since=self._read_at):
                self._with_redis(self._read)
            current = self._shared if self._own is None else self._own
            return throttle_state.look(current, self._limits(), self._now(), wanted, yields=yields)

    def is_down(self) -> bool:
        self.look(1)
        with self._lock:
            return (self._shared if self._own is None else self._own).cool_down > 0

    def take(self, wanted: int, *, yields: bool = False) -> Grant:
        with self._lock:
            if self._is_free(since=self._told_at):
                self._granted += wanted
                return Grant(wanted, self._now())
            return self._change(
                lambda current, limits, now: throttle_state.take(current, limits, now, wanted, yields=yields)
            )

    def report_outcome(self, grant: Grant, outcome: Outcome, retry_after: float | None) -> None:
        def change(current: Pace, limits: Limits, now: float) -> tuple[Pace, Grant]:
            match outcome:
                case Outcome.ANSWERED:
                    return throttle_state.answered(current, limits, now, grant), grant
                case Outcome.THROTTLED:
                    return throttle_state.throttled(current, limits, now, grant, retry_after), grant
                case Outcome.DOWN:
                    return throttle_state.down(current, limits, now, grant), grant
                case Outcome.LOST:
                    return throttle_state.lost(current, limits, now, grant), grant
                case Outcome.UNUSED:
                    return throttle_state.unused(current, limits, now, grant), grant

        with self._lock:
            if outcome is Outcome.ANSWERED and self._own is None and not self._shared.cool_down:
                self._answered += 1
            elif outcome is not Outcome.UNUSED or not self._is_free(since=self._read_at):
                self._change(change)

    def give_back(self, count: int) -> None:
        with self._lock:
            if not self._is_free(since=self._read_at):
                self._change(
                    lambda current, limits, now: (throttle_state.given_back(current, limits, now, count), Grant(0, now))
                )

    def _is_free(self, since: float) -> bool:
        if self._own is not None or time.monotonic() - since > FROM_MEMORY:
            return False
        return throttle_state.is_free(self._shared, self._limits(), self._now())

    def _change(self, change: Change) -> Grant:
        grant = self._with_redis(lambda redis: self._compare_and_set(redis, change))
        if grant is None:
            assert self._own is not None
            self._own, grant = change(self._own, self._limits(), self._now())
        return grant

    def _compare_and_set(self, redis: Redis, change: Change) -> Grant:
        """Write what was gathered, then make the change. If neither changes anything, nothing is written."""
        key, limits = _key(self._gateway), self._usual_limits()
        pipe: Any  # its annotations do not know that after WATCH it answers at once
        with redis.pipeline() as pipe:
            for _ in range(TRIES):
                try:
                    pipe.watch(key)
                    stored, now = _decoded(pipe.get(key)), _seconds(pipe.time())
                    counted = throttle_state.gathered(stored, limits, now, self._granted, self._answered)
                    changed, grant = change(counted if self._granted or self._answered else stored, limits, now)
                    if changed is not stored:
                        pipe.multi()
                        pipe.set(key, _encoded(changed), ex=REMEMBERED)
                        pipe.execute()
                    self._saw(changed, now)
                    self._told_at, self._granted, self._answered = self._read_at, 0, 0
                    return grant
                except WatchError:
                    time.sleep(random.uniform(0, 0.005))  # noqa: S311  (jitter, not a secret)
        logger.warning("the pace of gateway %s changes too often", self._gateway)
        return Grant(0, self._now(), CONTENDED_WAIT)

    def _read(self, redis: Redis) -> Grant:
        pipe: Any = redis.pipeline(transaction=False)
        stored, now = pipe.get(_key(self._gateway)).time().execute()
        self._saw(_decoded(stored), _seconds(now))
        return Grant(0, self._now())

    def _saw(self, shared: Pace, now: float) -> None:
        self._shared, self._own = shared, None
        self._read_at = time.monotonic()
        self._clock_ahead = now - self._read_at

    def _with_redis(self, act: Callable[[Redis], Grant]) -> Grant | None:
        """Return the result, or None if Redis is down: then `_own` holds."""
        if not _loss.is_recent():
            try:
                grant = act(get_redis_connection("default"))
            except RedisError as error:
                _loss.note(error)
            else:
                _loss.end()
                return grant
        if self._own is None:
            self._own = throttle_state.share_of(self._shared, settings.SENDING_PROCESSES)
            self._granted = self._answered = 0
        return None

    def _now(self) -> float:
        """Return the Redis server's time, as far as we know without asking."""
        return time.monotonic() + self._clock_ahead

    def _usual_limits(self) -> Limits:
        limits = _limits(self._gateway)
        return limits if self.ceiling is None else replace(limits, ceiling=self.ceiling)

    def _limits(self) -> Limits:
        limits = self._usual_limits()
        if self._own is None:
            return limits
        if limits.ceiling is None:
            return replace(limits, ceiling=settings.FALLBACK_RATE)
        return replace(limits, ceiling=limits.ceiling / settings.SENDING_PROCESSES)


class _Loss:
    """When Redis last failed this process."""

    def __init__(self) -> None:
        self._at: float | None = None

    def is_recent(self) -> bool:
        return self._at is not None and time.monotonic() - self._at < LOST_FOR

    def note(self, error: RedisError) -> None:
        if self._at is None:
            logger.warning("Redis is lost (%s): this process keeps to its share of each rate", type(error).__name__)
        self._at = time.monotonic()

    def end(self) -> None:
        if self._at is not None:
            logger.info("Redis is back: rates are shared again")
        self._at = None


_loss = _Loss()
_views: dict[str, View] = {}


def _view_of(gateway: str) -> View:
    return _views.get(gateway) or _views.setdefault(gateway, View(gateway))


def _view_within(name: str, rate: float) -> View:
    view = _view_of(name)
    view.ceiling = rate
    return view


def reset() -> None:
    """Forget what this process knows. What is shared stays."""
    _views.clear()
    _loss.end()


# A lock that was held by a thread of the parent would be held in its child for ever.
os.register_at_fork(after_in_child=reset)


def ceiling_of(gateway: str) -> float | None:
    """Return the messages a second that an operator allows this gateway; None: no ceiling."""
    setup = registry.setup_of(gateway)
    return setup.rate if setup else settings.GATEWAY_RATE or None


def _limits(gateway: str) -> Limits:
    return Limits(
        ceiling=ceiling_of(gateway),
        breaker_calls=settings.BREAKER_CALLS,
        breaker_share=settings.BREAKER_SHARE,
        breaker_window=settings.BREAKER_WINDOW,
        cool_down=settings.BREAKER_COOL_DOWN,
        cool_down_max=settings.BREAKER_COOL_DOWN_MAX,
        probe_timeout=settings.LEASE_SECONDS,  # no call outlasts the lease of its batch
    )


def _key(gateway: str) -> str:
    return f"{settings.REDIS_KEY_PREFIX}:pace:{gateway}"


def _seconds(redis_time: tuple[int, int]) -> float:
    seconds, microseconds = redis_time
    return seconds + microseconds / 1_000_000


def _encoded(state: Pace) -> bytes:
    return orjson.dumps(state)


def _decoded(stored: bytes | None) -> Pace:
    """Return the stored state; the default if nothing is stored, or another version of this program stored it."""
    if stored is None:
        return Pace()
    try:
        values: dict[str, Any] = orjson.loads(stored)
        return Pace(**values | {"slices": tuple(Slice(**part) for part in values["slices"])})
    except (ValueError, TypeError, KeyError):
        return Pace()
