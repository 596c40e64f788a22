"""Reports to come, in parts: many messages of one call at once, cut to the size of a body."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from messaging.simulator.calls import Call, Stage


@dataclass(frozen=True, slots=True)
class Part:
    """One report on each of these places of a call."""

    call: Call
    places: Sequence[int]
    stage: Stage = Stage.FINAL

    def over(self, places: Sequence[int]) -> "Part":
        return Part(self.call, places, self.stage)


def count(parts: Iterable[Part]) -> int:
    return sum(len(part.places) for part in parts)


def parts_of(call: Call, places: Sequence[int]) -> list[Part]:
    """All reports of a call on these places, a message's stages one after the other."""
    if call.terms.intermediate:
        parts = []
        for place in places:
            parts.append(Part(call, [place], Stage.INTERMEDIATE))
            if call.outcomes[place].is_told:
                parts.append(Part(call, [place]))
        return parts
    told = array("I", [place for place in places if call.outcomes[place].is_told])
    return [Part(call, told)] if told else []


def singly(parts: Iterable[Part]) -> list[Part]:
    """The same reports, each by itself."""
    return [part.over([place]) for part in parts for place in part.places]


def cut(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """Pieces of `size` reports, the last one smaller."""
    piece: list[Part] = []
    room = size
    for part in parts:
        start = 0
        while start < len(part.places):
            taken = part.over(part.places[start : start + room])
            piece.append(taken)
            start, room = start + len(taken.places), room - len(taken.places)
            if not room:
                yield piece
                piece, room = [], size
    if piece:
        yield piece
