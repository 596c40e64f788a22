"""Notices a proxy that TRUSTED_PROXY_COUNT does not mention.

Every caller then has its address, and one who guesses passwords or calls too often locks everybody out.
"""

import logging

from django.core.cache import cache

from smsapp.core.redis import Pause

logger = logging.getLogger(__name__)

KEY = "untrusted-proxy"
NOTED_FOR = 24 * 3600  # seconds
NOTE_EVERY = 3600.0  # seconds, by each process

WORDS = (
    "Calls come with X-Forwarded-For, from %s, and TRUSTED_PROXY_COUNT is 0: if a proxy stands in front every caller "
    "has its address, and anybody locks everybody out. Set TRUSTED_PROXY_COUNT to the number of proxies in front."
)

_noted = Pause(NOTE_EVERY)


def note_untrusted(peer: str) -> None:
    """Record, now and then, that a call came through a proxy that is not trusted."""
    if _noted.is_on:
        return
    _noted.begin()
    logger.error(WORDS, peer)
    cache.set(KEY, peer, NOTED_FOR)


def untrusted() -> str:
    """Return the address from which such calls came in the last day; empty if there was none, or nobody can tell."""
    return cache.get(KEY) or ""


def log_untrusted_at_start(trusted: int) -> None:
    if not trusted and (peer := untrusted()):
        logger.error(WORDS, peer)
