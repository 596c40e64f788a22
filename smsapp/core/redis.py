"""What everybody does who can go on without Redis."""

import time


class Pause:
    """After Redis failed it is left alone for some seconds, so that nobody pays its time-out again. Of one process."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.until = 0.0  # monotonic

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.until

    def begin(self) -> None:
        self.until = time.monotonic() + self.seconds
