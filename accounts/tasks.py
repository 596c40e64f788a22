"""Celery doors of accounts."""

from celery import shared_task
from django.utils import timezone

from accounts import alarms, audit, idempotency, tokens, usage
from accounts.webhooks import delivery, endpoints


@shared_task(name="accounts.store_usage")
def store_usage() -> int:
    return usage.store()


@shared_task(name="accounts.purge_usage")
def purge_usage() -> int:
    return usage.purge(timezone.now())


@shared_task(name="accounts.purge_tokens")
def purge_tokens() -> int:
    return tokens.purge(timezone.now())


@shared_task(name="accounts.purge_idempotency_keys")
def purge_idempotency_keys() -> int:
    return idempotency.purge(timezone.now())


@shared_task(name="accounts.heed_alarms")
def heed_alarms() -> int:
    return alarms.heed()


@shared_task(name="accounts.seal_audit")
def seal_audit() -> int:
    return audit.seal()


@shared_task(name="accounts.deliver_webhooks")
def deliver_webhooks() -> int:
    return delivery.deliver_due()


@shared_task(name="accounts.purge_webhooks")
def purge_webhooks() -> int:
    return endpoints.purge(timezone.now())
