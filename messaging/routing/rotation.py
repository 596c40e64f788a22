"""Whose turn it is among gateways that this process asks again and again: the one asked longest ago.

Each process keeps its own: what others do only makes a turn come earlier.
"""

import time
from collections.abc import Iterable

_free_at: dict[tuple[str, str], float] = {}  # by purpose and gateway: its last turn, or the end of its pause; monotonic


def in_turn(purpose: str, names: Iterable[str]) -> list[str]:
    """Return the gateways that may be asked now, the one asked longest ago first."""
    free = [name for name in names if not is_paused(purpose, name)]
    return sorted(free, key=lambda name: _turn(purpose, name))


def is_paused(purpose: str, name: str) -> bool:
    """Return whether a gateway is to be left alone."""
    return _turn(purpose, name) > time.monotonic()


def note_turn(purpose: str, name: str) -> None:
    """Put a gateway behind all others: it is asked now."""
    _free_at[purpose, name] = time.monotonic()


def pause(purpose: str, name: str, seconds: float) -> None:
    """Leave a gateway alone for so many seconds: it does not answer, and may hold callers until they time out."""
    _free_at[purpose, name] = time.monotonic() + seconds


def forget() -> None:
    _free_at.clear()


def _turn(purpose: str, name: str) -> float:
    return _free_at.get((purpose, name), float("-inf"))
