"""How workers and beat return to a broker that was down: within seconds, however long that took.

Celery waits longer after every try, up to half a minute, in which single sends wait too.
"""

from typing import Any

import kombu
from celery.app.amqp import AMQP

FIRST_WAIT = 0.5  # seconds, and so much more after each try
LONGEST_WAIT = 2.0


class Connection(kombu.Connection):
    def ensure_connection(self, *args: Any, **options: Any) -> kombu.Connection:  # type: ignore[override]
        waits = {"interval_start": FIRST_WAIT, "interval_step": FIRST_WAIT, "interval_max": LONGEST_WAIT}
        return super().ensure_connection(*args, **waits | options)


class Amqp(AMQP):
    Connection = Connection
