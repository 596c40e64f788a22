"""Delivers webhooks in processes that are killed with -9, one after another, until nothing waits.

`python -m tests.support.servers.deliverers KILLS SEED`; prints how many processes it has killed.
"""

import os
import random
import signal
import socket
import sys
import time
from datetime import timedelta
from typing import Any

import django

LONGEST = 0.6  # seconds that a process lives that is to be killed
RESOLVING = 0.05  # seconds that each name takes: between the claim of a body and its call there is time to be killed


def slow_resolver() -> None:
    real = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(RESOLVING)
        return real(*args, **kwargs)

    socket.getaddrinfo = slow


def main(kills: int, seed: int) -> None:
    django.setup()
    from django.db import connections

    from accounts.choices import WebhookState
    from accounts.models import WebhookDelivery
    from accounts.webhooks import claims, delivery

    slow_resolver()
    claims.LEASE = timedelta(seconds=0.5)
    dice = random.Random(seed)
    killed = 0
    while WebhookDelivery.objects.filter(state=WebhookState.WAITING).exists():
        connections.close_all()
        child = os.fork()
        if not child:
            delivery.deliver_due()
            os._exit(0)
        if killed < kills:
            time.sleep(dice.uniform(0, LONGEST))
            os.kill(child, signal.SIGKILL)
            killed += 1
        os.waitpid(child, 0)
        time.sleep(0.05)
    print(killed)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
