"""What everybody does who can go on without Redis."""

import time


class Pause:
    """Leaves Redis alone for some seconds after a failure, so that a process does not pay its time-out again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.until = 0.0  # monotonic

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.until

    def begin(self) -> None:
        self.until = time.monotonic() + self.seconds
