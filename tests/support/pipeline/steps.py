"""Single steps of dispatch, for tests that look at what is between them."""

from messaging.models import Batch
from messaging.sending.prepare import open_attempts
from messaging.sending.submit import Call


def opened_of(batch: Batch) -> Call | None:
    """The call that may begin for a leased batch."""
    return next(iter(open_attempts([batch])), None)
