"""Time zones of phone numbers, and of people: what time it is where somebody reads."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

UNKNOWN = ("UTC",)
NO_ZONES = ("localtime", "Factory")  # the machine's own, and none at all
MOST_STEPS = 100  # from the end of one zone's quiet to the next's


class NoSuchZone(ValueError):
    """Not a name of the IANA time zone database."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """`Europe/Berlin`. Raises NoSuchZone."""
    if name in NO_ZONES or name not in available_timezones():
        raise NoSuchZone(name)
    return ZoneInfo(name)


def zones_of(phone: str) -> tuple[str, ...]:
    """All zones that a number (E.164, with plus) may be in, as far as its digits tell; UTC where they do not."""
    return _zones_under(phone[1 : TIMEZONE_LONGEST_PREFIX + 1])


@lru_cache(maxsize=16_384)
def _zones_under(digits: str) -> tuple[str, ...]:
    for length in range(len(digits), 0, -1):
        found: tuple[str, ...] | None = TIMEZONE_DATA.get(digits[:length])
        if found:
            return tuple(name for name in found if name in available_timezones()) or UNKNOWN
    return UNKNOWN


def at_wall_time(day: date, clock: time, where: ZoneInfo) -> datetime:
    """The moment (UTC) at which clocks there show this time on this day. A time that comes twice, as the clocks go
    back, is the first of both; one that does not come, as they go forward, is as long after midnight as usual: 02:30
    becomes 03:30."""
    return datetime.combine(day, clock, where).astimezone(UTC)


def in_window(moment: datetime, begins: time, ends: time, where: ZoneInfo) -> bool:
    """Whether clocks there are between the two times, `ends` not included; a window may reach over midnight."""
    clock = moment.astimezone(where).time()
    if begins <= ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends


def after_window(moment: datetime, begins: time, ends: time, names: tuple[str, ...]) -> datetime:
    """The first moment, `moment` or later, at which no zone's clocks are in the window. Where zones are so far apart
    that there is none, the first zone alone counts."""
    zones = [zone(name) for name in names]
    start = moment
    for _ in range(MOST_STEPS):
        inside = next((where for where in zones if in_window(moment, begins, ends, where)), None)
        if inside is None:
            return moment
        moment = _window_end(moment, begins, ends, inside)
    return after_window(start, begins, ends, names[:1])


def _window_end(moment: datetime, begins: time, ends: time, where: ZoneInfo) -> datetime:
    local = moment.astimezone(where)
    is_tomorrow = begins > ends and local.time() >= begins
    end = at_wall_time(local.date() + timedelta(days=is_tomorrow), ends, where)
    return max(end, moment + timedelta(minutes=1))  # a window's end that the clocks jump back over is past
