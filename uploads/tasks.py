"""Celery tasks of uploads."""

import os
import socket

from celery import shared_task

from smsapp.core import clock
from smsapp.core.enqueue import enqueue
from uploads import services
from uploads.files import reading
from uploads.models import Upload

_MAX_WOKEN = 100


@shared_task(name="uploads.parse")
def parse(upload_pk: int) -> bool:
    return reading.read_upload(upload_pk, f"{socket.gethostname()}:{os.getpid()}")


@shared_task(name="uploads.wake")
def enqueue_waiting() -> int:
    """Enqueue the reading of every upload that nobody reads now, the oldest first."""
    waiting = list(Upload.objects.waiting(clock.now()).values_list("pk", flat=True)[:_MAX_WOKEN])
    for pk in waiting:
        enqueue("uploads.parse", pk)
    return len(waiting)


@shared_task(name="uploads.remove_files")
def remove_files() -> int:
    return services.remove_files(clock.now())
