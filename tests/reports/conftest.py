"""Statistics of real campaigns: the pipeline's simulator and short timers."""

from tests.support.fixtures import no_push, simulator

__all__ = ["no_push", "simulator"]
