"""Detects a proxy that TRUSTED_PROXY_COUNT does not include.

All callers then have the proxy's address, so one who guesses passwords or calls too often locks out everybody.
"""

import logging

from django.core.cache import cache

from smsapp.core.redis import Pause

logger = logging.getLogger(__name__)

KEY = "untrusted-proxy"
REMEMBERED_FOR = 24 * 3600  # seconds
RECORD_EVERY = 3600.0  # seconds, by each process

MESSAGE = (
    "Requests with X-Forwarded-For arrive from %s, but TRUSTED_PROXY_COUNT is 0. If that is a proxy, all callers share "
    "its address, and one of them can lock out everybody. Set TRUSTED_PROXY_COUNT to the number of proxies in front."
)

_recorded = Pause(RECORD_EVERY)


def record_untrusted(peer: str) -> None:
    """Log and remember, once an hour, that a request came through a proxy that is not trusted."""
    if _recorded.is_on:
        return
    _recorded.begin()
    logger.error(MESSAGE, peer)
    cache.set(KEY, peer, REMEMBERED_FOR)


def untrusted() -> str:
    """Return the address of an untrusted proxy seen in the last day; empty if none, or if Redis is down."""
    return cache.get(KEY) or ""


def log_untrusted_at_start(trusted: int) -> None:
    if not trusted and (peer := untrusted()):
        logger.error(MESSAGE, peer)
