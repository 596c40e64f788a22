"""Celery tasks of the pipeline: each starts one kind of work and may run at any time, any number of times."""

from celery import shared_task

from messaging.choices import Lane
from messaging.gateways import balance
from messaging.outcomes import billing, provider_ids, reconciliation, report_inbox
from messaging.preflight import counting
from messaging.restore import detection, release
from messaging.routing import gateway_health
from messaging.sending import dispatch, expansion, resending
from messaging.upkeep import consistency, sweeps
from smsapp.core import clock
from smsapp.core.purge import go_on


@shared_task(name="messaging.expand")
def expand() -> int:
    return expansion.expand_ready()


@shared_task(name="messaging.fill_resends")
def fill_resends() -> int:
    return resending.fill_resends()


@shared_task(name="messaging.preflight")
def preflight(campaign_id: int) -> int:
    return counting.count_slice(campaign_id)


@shared_task(name="messaging.dispatch_singles")
def dispatch_singles() -> int:
    return dispatch.dispatch_ready(Lane.SINGLES)


@shared_task(name="messaging.dispatch_campaigns")
def dispatch_campaigns() -> int:
    return dispatch.dispatch_ready(Lane.CAMPAIGNS)


@shared_task(name="messaging.apply_reports")
def apply_reports() -> int:
    return report_inbox.apply_waiting()


@shared_task(name="messaging.poll_reports")
def poll_reports() -> int:
    return report_inbox.poll()


@shared_task(name="messaging.rematch_reports")
def rematch_reports() -> int:
    return report_inbox.rematch()


@shared_task(name="messaging.reconcile")
def reconcile() -> int:
    return reconciliation.reconcile()


@shared_task(name="messaging.sweep")
def sweep() -> dict[str, int]:
    return sweeps.sweep()


@shared_task(name="messaging.measure_health")
def measure_health() -> int:
    return gateway_health.measure()


@shared_task(name="messaging.check_consistency")
def check_consistency() -> int:
    return consistency.check()


@shared_task(name="messaging.watch")
def watch() -> int:
    """Look for signs of a restored copy, and go on with open questions and releases. Return the batches compared."""
    detection.watch()
    detection.ask()
    step = release.take_step()
    return step.checked if step else 0


@shared_task(name="messaging.settle_credit")
def settle_credit() -> int:
    return billing.settle()


@shared_task(name="messaging.settle_closed")
def settle_closed() -> int:
    return billing.settle_closed()


@shared_task(name="messaging.check_balance")
def check_balance() -> bool:
    return balance.check()


@shared_task(name="messaging.purge")
def purge() -> int:
    return go_on("messaging.purge", report_inbox.purge(clock.now()))


@shared_task(name="messaging.purge_references")
def purge_references() -> int:
    return go_on("messaging.purge_references", provider_ids.purge(clock.now()))
