"""Celery tasks of campaigns."""

from celery import shared_task

from accounts.security import sending_hold
from campaigns.scheduling import recurring, starting
from smsapp.core import clock


@shared_task(name="campaigns.start_due")
def start_due() -> int:
    return 0 if sending_hold.is_held() else starting.start_due(clock.now())


@shared_task(name="campaigns.fire_recurring")
def fire_recurring() -> int:
    return 0 if sending_hold.is_held() else recurring.fire_due(clock.now())
