"""Celery doors of the pipeline: each wakes one kind of work and may run at any time, any number of times."""

from celery import shared_task

from messaging import clock, dispatch, expansion, inbox, reconciliation, sweeps
from messaging.choices import Lane


@shared_task(name="messaging.expand")
def expand() -> int:
    return expansion.expand_ready()


@shared_task(name="messaging.dispatch_singles")
def dispatch_singles() -> int:
    return dispatch.dispatch_ready(Lane.SINGLES)


@shared_task(name="messaging.dispatch_campaigns")
def dispatch_campaigns() -> int:
    return dispatch.dispatch_ready(Lane.CAMPAIGNS)


@shared_task(name="messaging.apply_reports")
def apply_reports() -> int:
    return inbox.apply_waiting()


@shared_task(name="messaging.poll_reports")
def poll_reports() -> int:
    return inbox.poll()


@shared_task(name="messaging.reconcile")
def reconcile() -> int:
    return reconciliation.reconcile()


@shared_task(name="messaging.sweep")
def sweep() -> dict[str, int]:
    return sweeps.sweep()


@shared_task(name="messaging.purge")
def purge() -> int:
    return sweeps.purge(clock.now())
