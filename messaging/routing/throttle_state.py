"""How fast, how much at once, and whether a gateway may be called: a state machine without clock, Redis or Django.

One state holds four parts, because each decides what the others may do:

    bucket    a token for each message, refilled at the allowed rate, at most what one second gives; whoever yields
              leaves some to others: campaigns do, so that single sends never queue behind them
    lowering  a 429 closes the gateway for a while and lowers the rate, which then grows back along GROWTH
    breaker   calls that find the gateway down trip it: closed to everybody for a cool-down, then one probe at a
              time; an answer ends that with a rate far below the usual one, a failed probe doubles the cool-down
    size      a call whose answer was lost halves the next ones: a gateway that takes longer than the time-out for a
              thousand messages may be fast enough for a hundred; undisturbed, the size doubles again

`now` is in seconds, on one clock for all who share a state. Rates are in messages a second.
"""

import math
from dataclasses import dataclass, replace

BURST = 1.0  # seconds of the allowed rate that an idle gateway saves up
RESERVE = 0.5  # of these, seconds that yielding callers leave: longer than others take to look again
#: Seconds of the allowed rate that are granted together to a caller that wants so many: otherwise callers who wait for
#: single tokens would make a call with each.
PIECE = 0.1
MIN_RATE = 1.0
TOKEN_DUST = 1e-6  # tolerance for rounding

CLOSED_WITHOUT_RETRY_AFTER = 1.0
MIN_CLOSED = 0.1
MAX_CLOSED = 300.0  # longest wait; a provider that names more is asked again then
LOWERED_TO = 0.7
#: Messages a second that the first lowering leaves. What was sent while little was wanted is no limit of the
#: gateway, and a stray 429 in a quiet installation must not slow the next campaign.
FIRST_LOWERED_TO = 10.0
LOWER_EVERY = 1.0  # seconds; a call granted sooner after a lowering, or before it, lowers nothing
RAMP_FROM = 0.1  # share of the usual rate after an outage

#: A lowered rate grows by (second number) a second up to (first number) times the rate at which we were throttled.
#: It stays just below that rate, since every try beyond it costs the gateway's time-out after a 429 again; once a
#: quarter above it, that rate was no limit of the gateway.
GROWTH = ((0.9, 0.10), (1.0, 0.005), (1.25, 0.01), (math.inf, 0.10))
LONGEST_GROWTH = 600.0  # seconds counted between two events, far more than needed to grow back
DROPPED_FROM = 2.0  # times that rate, without anybody waiting for tokens, at which a lowering ends

LARGEST_CALL = 1000  # messages; a size limit ends here
SMALLEST_CALL = 50  # messages; the size of a smaller call is not why its answer is lost
GROWS_AFTER = 300.0  # seconds without a lost answer until calls are twice as large

SLICES = 6  # parts of the breaker's window
CLOCK_SET_BACK = 5.0  # seconds; a clock that jumps back further invalidates the state


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator configures.

    `ceiling`: the rate, None if none is known. Times in seconds. The breaker trips at `breaker_calls` or more within
    `breaker_window` of which `breaker_share` found the gateway down, and as soon as so many in a row did. A probe
    without an answer is given up after `probe_timeout`.
    """

    ceiling: float | None = None
    breaker_calls: int = 20
    breaker_share: float = 0.5
    breaker_window: float = 30.0
    cool_down: float = 10.0
    cool_down_max: float = 300.0
    probe_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Grant:
    """How many messages may leave, granted at the time `at`.

    If none: ask again in `wait` seconds. `own`: names of account and sender, where the grant was taken from rates of
    their own, too.
    """

    granted: int
    at: float
    wait: float = 0.0
    own: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.granted > 0


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the breaker's window. `busiest`: the most messages granted in one of its seconds."""

    number: int
    calls: int = 0
    down: int = 0
    busiest: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known about one gateway. The default is one of which nothing is known yet.

    `tokens` and `rate` hold at the moment `at`. `rate` is None unless lowered; `reached` is the rate at which we were
    throttled, or the usual one before an outage. `cool_down` is 0 unless the breaker has tripped. `granted` counts the
    messages of the whole second `second`, `down_in_row` calls since the last answer. `largest` is the most messages of
    a call, None unless lowered, and as it is since `resized_at`.
    """

    at: float = 0.0
    tokens: float = 0.0
    closed_until: float = 0.0
    rate: float | None = None
    reached: float = 0.0
    lowered_at: float = 0.0
    cool_down: float = 0.0
    probe_until: float = 0.0
    second: int = 0
    granted: int = 0
    down_in_row: int = 0
    slices: tuple[Slice, ...] = ()
    largest: int | None = None
    resized_at: float = 0.0


def take(pace: Pace, limits: Limits, now: float, wanted: int, *, yields: bool = False) -> tuple[Pace, Grant]:
    """Take tokens for up to `wanted` messages. If nothing is granted the very same Pace is returned."""
    moved = _moved_on(pace, limits, now)
    grant = _grant(moved, limits, wanted, yields=yields)
    if not grant:
        return pace, grant
    if moved.cool_down:
        return replace(moved, probe_until=moved.at + limits.probe_timeout), grant
    if allowed_rate(moved, limits) is not None:
        moved = replace(moved, tokens=moved.tokens - grant.granted)
    return _counted(moved, limits, granted=grant.granted), grant


def look(pace: Pace, limits: Limits, now: float, wanted: int, *, yields: bool = False) -> Grant:
    """Return what `take` would grant."""
    return _grant(_moved_on(pace, limits, now), limits, wanted, yields=yields)


def is_free(pace: Pace, limits: Limits, now: float) -> bool:
    """Return whether nothing limits the gateway."""
    is_limited = allowed_rate(pace, limits) is not None or pace.largest is not None
    return not is_limited and not pace.cool_down and now >= pace.closed_until


def allowed_rate(pace: Pace, limits: Limits) -> float | None:
    """Return the rate, or None if nothing limits it."""
    return min((rate for rate in (limits.ceiling, pace.rate) if rate is not None), default=None)


def gathered(pace: Pace, limits: Limits, now: float, granted: int, answered: int) -> Pace:
    """Count what a process granted itself, and got answered, while nothing limited the gateway."""
    pace = _moved_on(pace, limits, now)
    return pace if pace.cool_down else _counted(pace, limits, granted=granted, calls=answered)


def answered(pace: Pace, limits: Limits, now: float, grant: Grant) -> Pace:
    """Note that the gateway is alive, whatever it said."""
    pace = _moved_on(pace, limits, now)
    if not pace.cool_down:
        return _counted(pace, limits, calls=1)
    return _recovered(pace) if _is_probe(pace, grant) else pace


def throttled(pace: Pace, limits: Limits, now: float, grant: Grant, retry_after: float | None) -> Pace:
    """Note a 429. `retry_after`: seconds, None if the provider named no time."""
    pace = answered(pace, limits, now, grant)
    closed = CLOSED_WITHOUT_RETRY_AFTER if retry_after is None else min(max(retry_after, MIN_CLOSED), MAX_CLOSED)
    if not pace.cool_down and grant.at >= pace.lowered_at + LOWER_EVERY:
        pace = _lowered(pace, limits)
    return replace(pace, closed_until=max(pace.closed_until, pace.at + closed), tokens=0.0)


def down(pace: Pace, limits: Limits, now: float, grant: Grant) -> Pace:
    """Note a call without a connection, or a 5xx."""
    pace = _moved_on(pace, limits, now)
    if pace.cool_down:
        longer = min(pace.cool_down * 2, limits.cool_down_max)
        return _closed_for(pace, longer) if _is_probe(pace, grant) else pace
    pace = _counted(pace, limits, calls=1, down=1)
    return _tripped(pace, limits) if _is_too_often_down(pace, limits) else pace


def lost(pace: Pace, limits: Limits, now: float, grant: Grant) -> Pace:
    """Note an answer that did not come in time, or cannot be read: the gateway may have the messages."""
    pace = down(pace, limits, now, grant)
    smaller = max(SMALLEST_CALL, grant.granted // 2)
    if smaller >= min(grant.granted, pace.largest or LARGEST_CALL):
        return pace
    return replace(pace, largest=smaller, resized_at=pace.at)


def unused(pace: Pace, limits: Limits, now: float, grant: Grant) -> Pace:
    """Note that no call was made with the grant: another may be the probe, and its tokens come back."""
    if pace.cool_down:
        return replace(pace, probe_until=0.0) if _is_probe(pace, grant) else pace
    return given_back(pace, limits, now, grant.granted) if grant.at >= pace.lowered_at else pace


def given_back(pace: Pace, limits: Limits, now: float, count: int) -> Pace:
    """Return tokens of messages that did not leave. A closed gateway has no tokens."""
    pace = _moved_on(pace, limits, now)
    allowed = allowed_rate(pace, limits)
    if allowed is None or pace.cool_down or pace.at < pace.closed_until:
        return pace
    return replace(pace, tokens=min(_burst(allowed), pace.tokens + count))


def share_of(pace: Pace, processes: int) -> Pace:
    """Return what one of so many processes may do alone when they can no longer share."""
    rate = None if pace.rate is None else pace.rate / processes
    return replace(pace, tokens=pace.tokens / processes, rate=rate, reached=pace.reached / processes)


def _grant(pace: Pace, limits: Limits, wanted: int, *, yields: bool) -> Grant:
    """Grant for a Pace that has moved on to now."""
    now = pace.at
    if wanted < 1 or now < pace.closed_until:
        return Grant(0, now, max(0.0, pace.closed_until - now))
    if pace.cool_down:
        # Shorter than until the probe is given up: it may be answered any moment.
        wait = min(CLOSED_WITHOUT_RETRY_AFTER, pace.probe_until - now)
        return Grant(0, now, wait) if wait > 0 else Grant(1, now)
    wanted = min(wanted, pace.largest or wanted)
    allowed = allowed_rate(pace, limits)
    if allowed is None:
        return Grant(wanted, now)
    tokens = pace.tokens - (allowed * RESERVE if yields else 0.0)
    missing = min(wanted, max(1.0, allowed * PIECE)) - tokens
    if missing > TOKEN_DUST:
        return Grant(0, now, missing / allowed)
    return Grant(min(wanted, math.floor(tokens + TOKEN_DUST)), now)


def _burst(allowed: float) -> float:
    """Return the most tokens at a rate: enough for a message of a yielding caller, too."""
    return max(1.0 + allowed * RESERVE, allowed * BURST)


def _is_probe(pace: Pace, grant: Grant) -> bool:
    """Return whether this is the probe: while the breaker is tripped, all other calls were granted before."""
    return grant.at >= pace.closed_until


def _moved_on(pace: Pace, limits: Limits, now: float) -> Pace:
    """Refill the bucket and let a lowered rate grow. Neither happens while the gateway is closed."""
    if now < pace.at - CLOCK_SET_BACK:
        return Pace(at=now)
    now = max(now, pace.at)
    if pace.largest is not None and now >= pace.resized_at + GROWS_AFTER:
        larger = pace.largest * 2
        pace = replace(pace, largest=larger if larger < LARGEST_CALL else None, resized_at=now)
    allowed = allowed_rate(pace, limits)
    if pace.cool_down or allowed is None:
        return replace(pace, at=now)
    seconds = max(0.0, now - max(pace.at, pace.closed_until))
    burst = _burst(allowed)
    tokens = min(burst, pace.tokens + allowed * seconds)
    rate = None if pace.rate is None else _grown(pace.rate, pace.reached, seconds)
    if rate is not None and _may_drop(rate, pace.reached, limits, is_full=tokens >= burst):
        rate = None
    return replace(pace, at=now, tokens=tokens, rate=rate)


def _grown(rate: float, reached: float, seconds: float) -> float:
    seconds = min(seconds, LONGEST_GROWTH)
    for share, growth in GROWTH:
        end = share * reached
        if rate < end:
            needed = math.log(end / rate) / math.log1p(growth)
            if seconds < needed:
                return rate * math.pow(1 + growth, seconds)
            rate, seconds = end, seconds - needed
    return rate


def _may_drop(rate: float, reached: float, limits: Limits, *, is_full: bool) -> bool:
    if limits.ceiling is not None and rate >= limits.ceiling:
        return True
    return is_full and rate >= DROPPED_FROM * reached


def _counted(pace: Pace, limits: Limits, *, granted: int = 0, calls: int = 0, down: int = 0) -> Pace:
    second = math.floor(pace.at)
    if second == pace.second:
        granted += pace.granted
    number = math.floor(pace.at / (limits.breaker_window / SLICES))
    kept = [part for part in pace.slices if number - SLICES < part.number <= number]
    newest = kept.pop() if kept and kept[-1].number == number else Slice(number)
    newest = Slice(number, newest.calls + calls, newest.down + down, max(newest.busiest, granted))
    row = pace.down_in_row + down if down or not calls else 0
    return replace(pace, second=second, granted=granted, down_in_row=row, slices=(*kept, newest))


def _lowered(pace: Pace, limits: Limits) -> Pace:
    """Lower to a share of what was really granted in a second, but never below half of what was allowed.

    A 429 for a few messages after a quiet time does not say that so few are too many.
    """
    busiest = float(max(part.busiest for part in pace.slices))
    allowed = allowed_rate(pace, limits)
    reached = max(MIN_RATE, busiest if allowed is None else allowed)
    least = FIRST_LOWERED_TO if pace.rate is None else MIN_RATE
    rate = max(least, LOWERED_TO * min(reached, max(busiest, LOWERED_TO * reached)))
    slices = tuple(replace(part, busiest=0) for part in pace.slices)
    reached = max(reached, rate / LOWERED_TO)
    return replace(pace, rate=rate, reached=reached, lowered_at=pace.at, granted=0, slices=slices)


def _is_too_often_down(pace: Pace, limits: Limits) -> bool:
    calls, down = sum(part.calls for part in pace.slices), sum(part.down for part in pace.slices)
    if down >= limits.breaker_calls and pace.down_in_row >= limits.breaker_calls:
        return True
    return calls >= limits.breaker_calls and down >= limits.breaker_share * calls


def _tripped(pace: Pace, limits: Limits) -> Pace:
    reached = _usual_rate(pace, limits)
    return _closed_for(replace(pace, rate=max(MIN_RATE, reached * RAMP_FROM), reached=reached), limits.cool_down)


def _closed_for(pace: Pace, cool_down: float) -> Pace:
    closed_until = max(pace.closed_until, pace.at + cool_down)
    return replace(pace, cool_down=cool_down, closed_until=closed_until, probe_until=0.0)


def _usual_rate(pace: Pace, limits: Limits) -> float:
    """Return the busiest second of a time in which the gateway was up: failing calls are far more a second."""
    clean = [part.busiest for part in pace.slices if not part.down]
    usual = float(max(clean, default=min((part.busiest for part in pace.slices), default=0)))
    if pace.rate is not None:
        usual = pace.reached  # less was granted than usual, because the rate was lowered
    return max(MIN_RATE, usual if limits.ceiling is None else min(usual, limits.ceiling))


def _recovered(pace: Pace) -> Pace:
    return replace(pace, cool_down=0.0, probe_until=0.0, tokens=0.0, lowered_at=pace.at, down_in_row=0, slices=())
