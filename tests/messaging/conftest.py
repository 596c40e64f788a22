"""The pipeline with short timers, and a real simulator for it to talk to."""

from tests.support.fixtures import no_push, own_pace, simulator

__all__ = ["no_push", "own_pace", "simulator"]
