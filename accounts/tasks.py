"""Celery doors of accounts."""

from celery import shared_task
from django.utils import timezone

from accounts import audit, usage


@shared_task(name="accounts.store_usage")
def store_usage() -> int:
    return usage.store()


@shared_task(name="accounts.purge_usage")
def purge_usage() -> int:
    return usage.purge(timezone.now())


@shared_task(name="accounts.seal_audit")
def seal_audit() -> int:
    return audit.seal()
