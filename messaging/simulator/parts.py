"""Reports to come, in parts: many messages of one call at once, cut to the size of a body."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from messaging.simulator.calls import Call, Stage


@dataclass(frozen=True, slots=True)
class Part:
    """One report on each of these places of a call."""

    call: Call
    indexes: Sequence[int]
    stage: Stage = Stage.FINAL

    def over(self, indexes: Sequence[int]) -> "Part":
        return Part(self.call, indexes, self.stage)


def count(parts: Iterable[Part]) -> int:
    return sum(len(part.indexes) for part in parts)


def parts_of(call: Call, indexes: Sequence[int]) -> list[Part]:
    """All reports of a call on these places, a message's stages one after the other."""
    if call.terms.intermediate:
        parts = []
        for index in indexes:
            parts.append(Part(call, [index], Stage.INTERMEDIATE))
            if call.outcomes[index].is_told:
                parts.append(Part(call, [index]))
        return parts
    told = array("I", [index for index in indexes if call.outcomes[index].is_told])
    return [Part(call, told)] if told else []


def singly(parts: Iterable[Part]) -> list[Part]:
    """The same reports, each by itself."""
    return [part.over([index]) for part in parts for index in part.indexes]


def cut(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """Pieces of `size` reports, the last one smaller."""
    piece: list[Part] = []
    room = size
    for part in parts:
        start = 0
        while start < len(part.indexes):
            taken = part.over(part.indexes[start : start + room])
            piece.append(taken)
            start, room = start + len(taken.indexes), room - len(taken.indexes)
            if not room:
                yield piece
                piece, room = [], size
    if piece:
        yield piece
