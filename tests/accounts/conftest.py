"""The hold is proven on the pipeline, with its simulator."""

from tests.support.fixtures import no_push, own_pace, simulator

__all__ = ["no_push", "own_pace", "simulator"]
