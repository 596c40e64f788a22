"""State machines as data: the allowed moves, and the actors that may make each of them."""

from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

State = TypeVar("State")
Actor = TypeVar("Actor")

Moves = Mapping[State, frozenset[State]]  # targets by source


class Machine(Generic[State, Actor]):
    """`moves` maps each source and target to the actors that may make the move. Every other move is forbidden."""

    def __init__(self, moves: Mapping[State, Mapping[State, Collection[Actor]]]) -> None:
        self._actors = {
            (source, target): frozenset(actors) for source, to in moves.items() for target, actors in to.items()
        }

    def may(self, source: State, target: State, actor: Actor) -> bool:
        return actor in self._actors.get((source, target), ())

    def sources(self, target: State, *actors: Actor) -> list[State]:
        """Return the states from which any of these actors (default: any at all) may move to `target`."""
        return [source for source, to in self._of(actors) if to == target]

    def targets(self, source: State, *actors: Actor) -> list[State]:
        return [target for begin, target in self._of(actors) if begin == source]

    def moves(self, *actors: Actor) -> Moves[State]:
        """Return every move of these actors, as targets by source."""
        return {source: frozenset(self.targets(source, *actors)) for source, _ in self._of(actors)}

    def drawing(self) -> str:
        """Return lines such as `source -> target | target   by actor, actor`."""
        lines: dict[tuple[State, frozenset[Actor]], list[str]] = {}
        for (source, target), actors in self._actors.items():
            lines.setdefault((source, actors), []).append(_word(target))
        arrows = [f"{_word(source)} -> {' | '.join(targets)}" for (source, _), targets in lines.items()]
        width = max(map(len, arrows))
        return "\n".join(
            f"{arrow:<{width}}  by {', '.join(sorted(map(_word, actors)))}"
            for arrow, (_, actors) in zip(arrows, lines, strict=True)
        )

    def _of(self, actors: Collection[Actor]) -> list[tuple[State, State]]:
        return [move for move, may in self._actors.items() if not actors or may & set(actors)]


def _word(member: object) -> str:
    """Return an enum member's label if its value is an integer, otherwise its value."""
    value = getattr(member, "value", member)
    return str(getattr(member, "label", member) if isinstance(value, int) else value)
