"""The hold is proven on the pipeline, with its simulator."""

from tests.messaging.conftest import no_push, own_pace, simulator  # noqa: F401
