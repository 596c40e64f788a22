"""How fast an account, and a sender, may send, where an operator says so: beside what the gateway allows."""

import time

from accounts.models import SenderId
from campaigns.models import Campaign

KNOWN_FOR = 30.0  # seconds
MOST_KNOWN = 10_000

_known: dict[tuple[int, str], tuple[float, float | None]] = {}


def own_rates(campaign: Campaign) -> list[tuple[str, float]]:
    """Names and messages a second, those that there are."""
    rates = []
    if campaign.account.rate is not None:
        rates.append((f"account:{campaign.account_id}", campaign.account.rate))
    if campaign.sender_id and (rate := _rate_of(campaign.account_id, campaign.sender_id)) is not None:
        rates.append((f"sender:{campaign.account_id}:{campaign.sender_id}", rate))
    return rates


def forget() -> None:
    """Read it again, the next time it is asked for."""
    _known.clear()


def _rate_of(account_id: int, sender_id: str) -> float | None:
    now, key = time.monotonic(), (account_id, sender_id)
    kept = _known.get(key)
    if kept is None or now - kept[0] > KNOWN_FOR:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        rows = SenderId.objects.filter(account=account_id, value=sender_id)
        _known[key] = kept = (now, rows.values_list("rate", flat=True).first())
    return kept[1]
