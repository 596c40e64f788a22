"""The Celery app. Queues, routes and the beat table: `smsapp/queues.py`."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun, worker_process_init
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsapp.settings.base")

app = Celery("smsapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Celery would close the connections to the database around every task. A new one costs ten milliseconds, a server
# process that has yet to learn the tables, and the look for signs of a copy. They are kept, as a web server keeps them.
app.conf.CELERY_DB_REUSE_MAX = 1_000_000_000

import smsapp.watchdog  # noqa: E402, F401  (connects itself to the worker's start)


@task_prerun.connect
@task_postrun.connect
def let_go_of_old_connections(**kwargs: Any) -> None:
    """Those that failed, or are too old (CONN_MAX_AGE; at once on SQLite, whose file may be exchanged). Whether one
    that was kept still works is asked when the task first uses it (CONN_HEALTH_CHECKS)."""
    close_old_connections()


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
