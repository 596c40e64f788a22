"""Hours in which nobody is texted, on the clock where the recipient is.

The campaign's own hours count, else its account's, else those of the country. Where a number may be in several zones,
it must be out of these hours in all of them. Exempt are senders that an operator has named transactional, and single
sends: those answer somebody at that moment.
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

KNOWN_FOR = 30.0  # seconds that what applies to a campaign is kept
MOST_KNOWN = 1000


@dataclass(frozen=True, slots=True)
class Window:
    """From one local time to another, over midnight if the second is earlier."""

    begins: time
    ends: time


class Locality(NamedTuple):
    """What numbers have in common that may be texted at the same times."""

    window: Window
    zones: tuple[str, ...]

    @property
    def name(self) -> str:
        """As text, for `Locality.named`."""
        return f"{self.window.begins:%H:%M}-{self.window.ends:%H:%M} {','.join(self.zones)}"

    @classmethod
    def named(cls, name: str) -> "Locality":
        hours, _, zones = name.partition(" ")
        begins, ends = (time.fromisoformat(text) for text in hours.split("-"))
        return cls(Window(begins, ends), tuple(zones.split(",")))

    def due_after(self, moment: datetime) -> datetime:
        """The first moment, this one or later, at which its numbers may be texted."""
        return after_window(moment, self.window.begins, self.window.ends, self.zones)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What applies to a campaign: one window for all numbers, or one for each country, by prefix."""

    for_all: Window | None = None
    by_prefix: tuple[tuple[str, Window], ...] = ()  # the longest prefixes first

    @property
    def is_none(self) -> bool:
        return self.for_all is None and not self.by_prefix

    def until(self, phone: str, moment: datetime) -> datetime | None:
        """When a number (E.164) may be texted, if not at this moment."""
        window = self.for_all or self._of_country(phone)
        if window is None:
            return None
        due_at = Locality(window, zones_of(phone)).due_after(moment)
        return due_at if due_at > moment else None

    def localities_of(self, phones: Sequence[str]) -> Iterator[Locality]:
        """Where each number is that has quiet hours."""
        if not self.is_none:
            for phone in phones:
                if window := self.for_all or self._of_country(phone):
                    yield Locality(window, zones_of(phone))

    def due_times(self, phones: Sequence[str], moment: datetime) -> list[tuple[Locality | None, datetime | None]]:
        """Where each number is, and when it may be texted (see `until`); None for one without quiet hours."""
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
    """What applies to it as it stands, from memory if it was asked for some seconds ago."""
    if campaign.kind != CampaignKind.BULK:
        return NONE
    return _read(campaign)


def forget() -> None:
    """Read it again, the next time it is asked for."""
    _read.cache_clear()  # type: ignore[attr-defined]


@remember(
    MOST_KNOWN,
    KNOWN_FOR,
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
