"""Time as a test needs it: of the whole installation, or of one machine that goes wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest.mock import patch

import time_machine
from django.utils import timezone

from smsapp.core import clock


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Everybody's clock stands there: the machine's and the database's, as far as the product asks for it."""
    with (
        time_machine.travel(moment, tick=False),
        patch("smsapp.core.clock.now", lambda: moment),
        patch("smsapp.core.clock.about_now", lambda: moment),
    ):
        yield


@contextmanager
def host_off_by(difference: timedelta) -> Iterator[None]:
    """The clock of this machine goes wrong, and that of the database does not."""
    with time_machine.travel(timezone.now() + difference, tick=True), patch.object(clock, "_read", None):
        yield
