"""The time that one run of a task may take, so that what waits behind it gets its turn."""

import time


class Budget:
    """So many seconds from now on, on the monotonic clock."""

    __slots__ = ("_ends_at",)

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left; negative once it is over."""
        return self._ends_at - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left <= 0
