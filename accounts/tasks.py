"""Celery tasks of accounts."""

from celery import shared_task

from accounts import idempotency, request_log, suspension
from accounts.access import invitations, sessions, tokens
from accounts.security import audit
from accounts.webhooks import delivery, endpoints
from smsapp.core import clock
from smsapp.core.purge import go_on


@shared_task(name="accounts.store_usage")
def store_usage() -> int:
    return request_log.store()


@shared_task(name="accounts.purge_usage")
def purge_usage() -> int:
    return go_on("accounts.purge_usage", request_log.purge(clock.now()))


@shared_task(name="accounts.purge_tokens")
def purge_tokens() -> int:
    return go_on("accounts.purge_tokens", tokens.purge(clock.now()))


@shared_task(name="accounts.purge_idempotency_keys")
def purge_idempotency_keys() -> int:
    return go_on("accounts.purge_idempotency_keys", idempotency.purge(clock.now()))


@shared_task(name="accounts.purge_sessions")
def purge_sessions() -> int:
    return go_on("accounts.purge_sessions", sessions.purge(clock.now()))


@shared_task(name="accounts.purge_sign_ins")
def purge_sign_ins() -> int:
    return go_on("accounts.purge_sign_ins", sessions.purge_sign_ins(clock.now()))


@shared_task(name="accounts.purge_invitations")
def purge_invitations() -> int:
    return go_on("accounts.purge_invitations", invitations.purge(clock.now()))


@shared_task(name="accounts.heed_alarms")
def apply_alarms() -> int:
    return suspension.apply_alarms()


@shared_task(name="accounts.seal_audit")
def seal_audit() -> int:
    return audit.seal()


@shared_task(name="accounts.deliver_webhooks")
def deliver_webhooks() -> int:
    return delivery.deliver_due()


@shared_task(name="accounts.purge_webhooks")
def purge_webhooks() -> int:
    return go_on("accounts.purge_webhooks", endpoints.purge_events(clock.now()))


@shared_task(name="accounts.purge_callbacks")
def purge_callbacks() -> int:
    return go_on("accounts.purge_callbacks", endpoints.purge_callbacks(clock.now()))
