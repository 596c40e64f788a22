"""Delivers webhooks in processes that are killed with -9, one after another, until nothing waits.

`python -m tests.accounts.deliverers KILLS SEED`; prints how many processes it has killed.
"""

import os
import random
import signal
import sys
import time
from datetime import timedelta

import django

LONGEST = 0.6  # seconds that a process lives that is to be killed


def main(kills: int, seed: int) -> None:
    django.setup()
    from django.db import connections

    from accounts.choices import WebhookState
    from accounts.models import WebhookDelivery
    from accounts.webhooks import delivery, queue

    queue.LEASE = timedelta(seconds=0.5)
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
