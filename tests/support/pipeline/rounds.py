"""Whole rounds of the pipeline, as often as it takes."""

import time
from collections import Counter

from messaging.choices import Lane, MessageStatus
from messaging.models import Message
from messaging.outcomes import reconciliation, report_inbox
from messaging.sending import dispatch
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps

S = MessageStatus


def statuses() -> Counter[str]:
    return Counter(S(status).label for status in Message.objects.values_list("status", flat=True))


def send() -> int:
    return dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)


def eventually(condition, act, seconds=15.0):
    """Do `act` until `condition` holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        act()
        time.sleep(0.05)


def run_dry():
    """One round of everything that beat would wake."""
    expand_ready()
    send()
    report_inbox.poll()
    report_inbox.apply_waiting()
    reconciliation.reconcile()
    sweeps.sweep()
