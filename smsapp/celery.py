"""The Celery app. Queues, routes and the beat table: `smsapp/queues.py`."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsapp.settings.base")

app = Celery("smsapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

import smsapp.watchdog  # noqa: E402, F401  (connects itself to the worker's start)


@task_prerun.connect
def look_for_signs_of_a_copy(**kwargs: Any) -> None:
    """Before a process does its first work with a database connection (not at its start, where a database that does
    not answer would get it killed). Dispatch looks again for itself, should this fail."""
    from messaging import restored

    restored.look_once()
