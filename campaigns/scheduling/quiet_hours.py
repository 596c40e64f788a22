"""Quiet hours, in which nobody is texted: in the recipient's local time.

A campaign's own hours apply, else its account's, else the country's. A number that may be in several time zones must be
outside of them in each. Exempt are single sends, which answer somebody right now, and transactional senders.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import NamedTuple

from accounts.models import QuietHours, SenderId
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from smsapp.core.process_cache import remember
from smsapp.lib.zones import after_window, zones_of

CACHE_SECONDS = 30.0
CACHE_SIZE = 1000  # campaigns


@dataclass(frozen=True, slots=True)
class Window:
    """A span of local time; it spans midnight if `ends` is earlier than `begins`."""

    begins: time
    ends: time


class Locality(NamedTuple):
    """Numbers that may be texted at the same times: those with the same window and time zones."""

    window: Window
    zones: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return it as text, which `Locality.named` reads."""
        return f"{self.window.begins:%H:%M}-{self.window.ends:%H:%M} {','.join(self.zones)}"

    @classmethod
    def named(cls, name: str) -> "Locality":
        hours, _, zones = name.partition(" ")
        begins, ends = (time.fromisoformat(text) for text in hours.split("-"))
        return cls(Window(begins, ends), tuple(zones.split(",")))

    def due_after(self, moment: datetime) -> datetime:
        """Return when its numbers may be texted: `moment` or later."""
        return after_window(moment, self.window.begins, self.window.ends, self.zones)


@dataclass(frozen=True, slots=True)
class Quiet:
    """The quiet hours of a campaign: one window for all numbers, or one for each country prefix."""

    for_all: Window | None = None
    by_prefix: tuple[tuple[str, Window], ...] = ()  # the longest prefixes first

    @property
    def is_none(self) -> bool:
        return self.for_all is None and not self.by_prefix

    def until(self, phone: str, moment: datetime) -> datetime | None:
        """Return when a number (E.164) may be texted; None if it may be now."""
        window = self.for_all or self._of_country(phone)
        if window is None:
            return None
        due_at = Locality(window, zones_of(phone)).due_after(moment)
        return due_at if due_at > moment else None

    def localities_of(self, phones: Sequence[str]) -> Iterator[Locality]:
        """Yield the locality of each number that has quiet hours."""
        if not self.is_none:
            for phone in phones:
                if window := self.for_all or self._of_country(phone):
                    yield Locality(window, zones_of(phone))

    def due_times(self, phones: Sequence[str], moment: datetime) -> list[tuple[Locality | None, datetime | None]]:
        """Return each number's locality and the result of `until`, both None without quiet hours."""
        known: dict[Locality, datetime | None] = {}
        found: list[tuple[Locality | None, datetime | None]] = []
        for phone in phones:
            window = self.for_all or self._of_country(phone)
            if window is None:
                found.append((None, None))
                continue
            locality = Locality(window, zones_of(phone))
            if locality not in known:
                known[locality] = self.until(phone, moment)
            found.append((locality, known[locality]))
        return found

    def _of_country(self, phone: str) -> Window | None:
        return next((window for prefix, window in self.by_prefix if phone.startswith(prefix, 1)), None)


NONE = Quiet()


def quiet_of(campaign: Campaign) -> Quiet:
    """Return the quiet hours of a campaign, cached for CACHE_SECONDS."""
    if campaign.kind != CampaignKind.BULK:
        return NONE
    return _read(campaign)


def forget() -> None:
    """Clear the cache."""
    _read.cache_clear()  # type: ignore[attr-defined]


@remember(
    CACHE_SIZE,
    CACHE_SECONDS,
    key=lambda campaign: (campaign.pk, campaign.sender_id, campaign.quiet_from, campaign.quiet_until),
)
def _read(campaign: Campaign) -> Quiet:
    sender = SenderId.objects.filter(account=campaign.account_id, value=campaign.sender_id, is_transactional=True)
    if campaign.sender_id and sender.exists():
        return NONE
    for row in (campaign, campaign.account):
        if row.quiet_from is not None and row.quiet_until is not None:
            return Quiet(Window(row.quiet_from, row.quiet_until))
    rows = QuietHours.objects.filter(is_enabled=True)
    windows = {row.prefix: Window(row.begins, row.ends) for row in rows}
    return Quiet(None, tuple(sorted(windows.items(), key=lambda item: -len(item[0]))))
