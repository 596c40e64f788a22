"""All background work on one page: the lanes, which task runs in which lane, what beat wakes and how often.

A task never carries data, only an id or nothing: it means "wake up and claim work". Truth, leases and retry
times are columns, so a lost task costs one beat interval and a repeated one costs nothing.
"""

from typing import Any

SINGLES = "singles"  # single sends: a worker process of their own, so a running million cannot delay them
CAMPAIGNS = "campaigns"  # expansion and dispatch of bulk campaigns
REPORTS = "reports"  # delivery reports in; a worker process of their own, so that no gateway's slow answer delays them
FILES = "files"  # parsing of uploads
PERIODIC = "periodic"  # due campaigns, polling, look-ups, sweeps: what has a deadline never waits behind a million
WEBHOOKS = "webhooks"  # events out: endpoints that hang must hold up nothing but one another

QUEUES = (SINGLES, CAMPAIGNS, REPORTS, FILES, PERIODIC, WEBHOOKS)

#: The worker processes of the embedded default: (name, queues, prefork children).
WORKERS = (
    ("worker", (CAMPAIGNS, FILES), 2),
    ("worker-fast", (SINGLES,), 2),
    ("worker-reports", (REPORTS,), 2),
    ("worker-periodic", (PERIODIC,), 2),
    ("worker-webhooks", (WEBHOOKS,), 2),
)

TASK_QUEUES: dict[str, str] = {
    "accounts.store_usage": PERIODIC,
    "accounts.purge_usage": PERIODIC,
    "accounts.purge_tokens": PERIODIC,
    "accounts.purge_idempotency_keys": PERIODIC,
    "accounts.heed_alarms": PERIODIC,
    "accounts.seal_audit": PERIODIC,
    "accounts.deliver_webhooks": WEBHOOKS,
    "accounts.purge_sessions": PERIODIC,
    "accounts.purge_sign_ins": PERIODIC,
    "accounts.purge_invitations": PERIODIC,
    "accounts.purge_webhooks": PERIODIC,
    "accounts.purge_callbacks": PERIODIC,
    "uploads.parse": FILES,
    "uploads.wake": PERIODIC,
    "uploads.remove_files": PERIODIC,
    "campaigns.start_due": PERIODIC,
    "campaigns.fire_recurring": PERIODIC,
    "messaging.expand": CAMPAIGNS,
    "messaging.fill_resends": CAMPAIGNS,
    "messaging.preflight": FILES,
    "messaging.dispatch_singles": SINGLES,
    "messaging.dispatch_campaigns": CAMPAIGNS,
    "messaging.apply_reports": REPORTS,
    "messaging.poll_reports": PERIODIC,
    "messaging.rematch_reports": PERIODIC,
    "messaging.reconcile": PERIODIC,
    "messaging.sweep": PERIODIC,
    "messaging.measure_health": PERIODIC,
    "messaging.check_consistency": PERIODIC,
    "messaging.watch": PERIODIC,
    "messaging.settle_credit": PERIODIC,
    "messaging.settle_closed": PERIODIC,
    "messaging.check_balance": PERIODIC,
    "messaging.purge": PERIODIC,
    "messaging.purge_references": PERIODIC,
    "reports.fold_statistics": PERIODIC,
    "smsapp.pulse": PERIODIC,  # beat names the queue
}

TASK_ROUTES: dict[str, dict[str, str]] = {name: {"queue": queue} for name, queue in TASK_QUEUES.items()}


#: Seconds by which the clock of a worker may be ahead of that of whoever wakes it: a wake-up expires by the worker's.
CLOCKS_APART = 90


def _every(seconds: float, task: str) -> dict[str, Any]:
    # A worker that was away begins what beat sent in the last minutes, and drops the rest unbegun. `expire_seconds` is
    # django-celery-beat's name for it; it leaves out Celery's own, `expires`.
    return {"task": task, "schedule": seconds, "options": {"expire_seconds": seconds + CLOCKS_APART}}


BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "start due campaigns": _every(2, "campaigns.start_due"),
    "fire recurring campaigns": _every(2, "campaigns.fire_recurring"),
    "expand running campaigns": _every(2, "messaging.expand"),
    "gather recipients of resends": _every(5, "messaging.fill_resends"),
    "send single messages": _every(2, "messaging.dispatch_singles"),
    "send campaigns": _every(2, "messaging.dispatch_campaigns"),
    "apply delivery reports": _every(2, "messaging.apply_reports"),
    "poll delivery reports": _every(15, "messaging.poll_reports"),
    "match reports without a message again": _every(5, "messaging.rematch_reports"),
    "look up unknown outcomes and missing reports": _every(5, "messaging.reconcile"),
    "sweep overdue states": _every(5, "messaging.sweep"),
    "measure how well gateways do": _every(60, "messaging.measure_health"),
    "check that states agree": _every(600, "messaging.check_consistency"),
    "fold statistics": _every(10, "reports.fold_statistics"),
    "deliver webhooks": _every(2, "accounts.deliver_webhooks"),
    "purge old webhook events": _every(60, "accounts.purge_webhooks"),
    "purge callback URLs that nobody uses": _every(600, "accounts.purge_callbacks"),
    "look for signs of a restored copy": _every(5, "messaging.watch"),
    "parse waiting uploads": _every(10, "uploads.wake"),
    "remove parsed files": _every(300, "uploads.remove_files"),
    "store the request log": _every(2, "accounts.store_usage"),
    "hold accounts for which an alarm was raised": _every(10, "accounts.heed_alarms"),
    "seal the audit log": _every(30, "accounts.seal_audit"),
    "purge the request log": _every(60, "accounts.purge_usage"),
    "purge idempotency keys": _every(60, "accounts.purge_idempotency_keys"),
    "purge sign-ins of the API": _every(600, "accounts.purge_tokens"),
    "purge sessions": _every(600, "accounts.purge_sessions"),
    "purge records of sign-ins": _every(3600, "accounts.purge_sign_ins"),
    "purge invitations that have expired": _every(3600, "accounts.purge_invitations"),
    "purge old report bodies": _every(60, "messaging.purge"),
    "purge providers' ids of messages": _every(60, "messaging.purge_references"),
    "charge what was sent": _every(3600, "messaging.settle_credit"),
    "settle closed campaigns": _every(30, "messaging.settle_closed"),
    "look at the balance at the provider": _every(300, "messaging.check_balance"),
}


def pulses(seconds: float) -> dict[str, dict[str, Any]]:
    """What beat sends to each queue, to see that it is served."""
    entry = _every(seconds, "smsapp.pulse")
    return {
        f"ask {queue} for a sign of life": entry | {"args": [queue], "options": entry["options"] | {"queue": queue}}
        for queue in QUEUES
    }
