"""The Celery app. Queues, routes and the beat table: `smsapp/queues.py`."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_process_init

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


@worker_process_init.connect
def collect_garbage_less_often(**kwargs: Any) -> None:
    """A batch is thousands of small objects that all live until it is done: at the default threshold the collector
    looks through them, and through all of Django, again and again, which cost a fifth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
