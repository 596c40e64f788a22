"""A failure that repeats is logged some times, then counted.

Without the database every task and every probe fails, thousands of times a minute, and nobody finds the first line.
"""

import logging
import time
from dataclasses import dataclass

WINDOW = 10.0  # seconds
MOST = 10  # lines of a kind in a window
KINDS = 500  # kinds of lines, beyond which earlier ones are forgotten


@dataclass(slots=True)
class _Kind:
    began: float
    count: int = 0
    left_out: int = 0


class Damping(logging.Filter):
    """Logs the same warning or error from the same line at most MOST times in WINDOW seconds of a process.

    The next line after that says how many were left out.
    """

    #: No lock: a process that is forked while another thread holds it would stand still at its first warning. A line
    #: too many or too few is no harm.
    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, int, str, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        failure = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        key = (record.name, record.levelno, str(record.msg)[:200], failure)
        now = time.monotonic()
        if len(self._kinds) >= KINDS:
            self._kinds = {key: kind for key, kind in list(self._kinds.items()) if now - kind.began < WINDOW}
        kind = self._kinds.setdefault(key, _Kind(now))
        if now - kind.began >= WINDOW:
            kind.began, kind.count = now, 0
        kind.count += 1
        if kind.count > MOST:
            kind.left_out += 1
            return False
        left_out, kind.left_out = kind.left_out, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more like it before)", ()
        return True
