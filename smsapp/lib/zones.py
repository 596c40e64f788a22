"""Time zones of phone numbers and people, and windows of local time such as quiet hours."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

UNKNOWN = ("UTC",)
NO_ZONES = ("localtime", "Factory")  # the machine's own zone, and a placeholder
MOST_STEPS = 100  # from the end of one zone's window to the end of another's


class NoSuchZone(ValueError):
    """The IANA time zone database has no zone of this name."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the zone of a name such as `Europe/Berlin`. Raises NoSuchZone."""
    if name in NO_ZONES or name not in available_timezones():
        raise NoSuchZone(name)
    return ZoneInfo(name)


def zones_of(phone: str) -> tuple[str, ...]:
    """Return all zones that a number (E.164, with plus) may be in; UTC if the digits do not say."""
    return _zones_under(phone[1 : TIMEZONE_LONGEST_PREFIX + 1])


@lru_cache(maxsize=16_384)
def _zones_under(digits: str) -> tuple[str, ...]:
    for length in range(len(digits), 0, -1):
        found: tuple[str, ...] | None = TIMEZONE_DATA.get(digits[:length])
        if found:
            return tuple(name for name in found if name in available_timezones()) or UNKNOWN
    return UNKNOWN


def at_wall_time(day: date, clock: time, where: ZoneInfo) -> datetime:
    """Return the moment (UTC) at which clocks in a zone show this time on this day.

    If the clocks go back and the time occurs twice, it is the first. If they go forward and skip the time, it is the
    time that long after midnight on a normal day: 02:30 becomes 03:30.
    """
    return datetime.combine(day, clock, where).astimezone(UTC)


def in_window(moment: datetime, begins: time, ends: time, where: ZoneInfo) -> bool:
    """Return whether local time is between `begins` and `ends` (exclusive). A window may span midnight."""
    clock = moment.astimezone(where).time()
    if begins <= ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends


def after_window(moment: datetime, begins: time, ends: time, names: tuple[str, ...]) -> datetime:
    """Return the first moment, from `moment` on, at which no zone is in the window.

    If the zones are so far apart that there is none, only the first zone counts.
    """
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
    return max(end, moment + timedelta(minutes=1))  # when the clocks go back, the window's end may lie in the past
