"""Checks that look at all open campaigns, a few at a time: each goes on where it stopped the last time.

The position is in the cache. If that is lost the check begins again: all are looked at in time, and none is missed.
"""

from django.core.cache import cache

from campaigns.models import Campaign


def next_open(check: str, limit: int) -> list[int]:
    """Return the next open campaigns of a check; the first follow the last."""
    after = cache.get(_key(check)) or 0
    rows = Campaign.objects.filter(closed_at=None).order_by("pk").values_list("pk", flat=True)
    ids = list(rows.filter(pk__gt=after)[:limit])
    if len(ids) < limit:
        ids += rows.filter(pk__lte=after)[: limit - len(ids)]
    return ids


def went_on(check: str, to: int) -> None:
    """Record that the check has looked at this campaign, and at all that `next_open` named before."""
    cache.set(_key(check), to, timeout=None)


def _key(check: str) -> str:
    return f"round:{check}"
