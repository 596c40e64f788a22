"""What one call brought, in columns: at a million messages an object for each would be most of the memory."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import NamedTuple

from messaging.simulator.outcomes import Outcome

REPORTED, CONTRADICTED = 1, 2


class Stage(Enum):
    """What a report says."""

    INTERMEDIATE = auto()  # the operator has it
    FINAL = auto()
    CONTRARY = auto()  # final, and the opposite of what became of the message


class Protocol(StrEnum):
    """Whose reports its sender expects."""

    INFOBIP = "infobip"
    TWILIO = "twilio"


class Terms(NamedTuple):
    """What a message's reports need and messages of one call usually share. No URL: not to be pushed."""

    sender: str
    report_url: str
    callback_data: str = ""
    intermediate: bool = False
    protocol: Protocol = Protocol.INFOBIP


@dataclass(slots=True, eq=False)
class Call:
    """One accepted call, or the part of it that shares its terms. `at` in seconds since the epoch.

    The columns hold one value for each message, accepted or refused by number; a message is known by its place in
    them. `numbers` in digits without plus; `texts` is empty unless texts are kept; `again` are places of ids that
    were accepted before.
    """

    reference: str
    terms: Terms
    at: float
    delay: float
    ids: Sequence[str]
    numbers: Sequence[str]
    outcomes: Sequence[Outcome]
    segments: Sequence[int]
    texts: Sequence[str] = ()
    again: set[int] = field(default_factory=set)
    flags: bytearray = field(init=False)  # REPORTED; CONTRADICTED: a contrary final report was taken, too

    def __post_init__(self) -> None:
        self.flags = bytearray(len(self.ids))

    @property
    def done_at(self) -> float:
        return self.at + self.delay

    @property
    def is_final(self) -> bool:
        return time.time() >= self.done_at

    def accepted(self) -> list[int]:
        return [index for index, outcome in enumerate(self.outcomes) if outcome.accepted]

    def firsts(self) -> Iterator[int]:
        """Places of ids that were not accepted before."""
        indexes = range(len(self.ids))
        return (index for index in indexes if index not in self.again) if self.again else iter(indexes)

    def contradict(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            self.flags[index] |= CONTRADICTED
