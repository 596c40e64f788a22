"""Celery doors of campaigns."""

from celery import shared_task
from django.utils import timezone

from accounts import hold
from campaigns import recurring, services


@shared_task(name="campaigns.start_due")
def start_due() -> int:
    return 0 if hold.is_held() else services.start_due(timezone.now())


@shared_task(name="campaigns.fire_recurring")
def fire_recurring() -> int:
    return 0 if hold.is_held() else recurring.fire_due(timezone.now())
