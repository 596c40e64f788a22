"""How one simulator is set up. What may change while it runs is in `faults.py`."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """`time_scale` multiplies the minutes between tries of a report push: 1/60 makes seconds of them.

    `undelivered`, `rejected` and `silent` are shares of all numbers; the rest is delivered. `port` 0: any free one.
    `faults`: initial values, see `faults.FAULTS` and `faults.SETTINGS`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    api_key: str = "simulator"
    seed: int = 1
    ledger: Path | None = None
    bucket: int = 100
    balance: float = 1_000_000.0
    currency: str = "EUR"
    time_scale: float = 1 / 60
    undelivered: float = 0.06
    rejected: float = 0.02
    silent: float = 0.0
    keep_text: bool = False
    push_hosts: frozenset[str] = frozenset()
    faults: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.bucket <= 2000:
            raise ValueError("bucket must be 1 to 2000")
        if min(self.undelivered, self.rejected, self.silent) < 0 or self.undelivered + self.rejected + self.silent > 1:
            raise ValueError("the shares must be positive and at most 1 together")
