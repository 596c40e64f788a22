"""The Celery app. Queues, routes and the beat table: `smsapp/queues.py`."""

import gc
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import beat_init, task_postrun, task_prerun, worker_init, worker_process_init
from django.db import close_old_connections

from smsapp.runtime.broker_connection import Amqp
from smsapp.runtime.environment import choose_settings

choose_settings()

MAIN_PROCESS = os.getpid()  # a worker's children are forked from it, and inherit the number

app = Celery("smsapp", amqp=Amqp)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["smsapp"], related_name="pulse")
# Celery would close the connections to the database around every task. A new one costs ten milliseconds, a server
# process that has yet to learn the tables, and the look for signs of a copy. They are kept, as a web server keeps them.
app.conf.CELERY_DB_REUSE_MAX = 1_000_000_000

import smsapp.runtime.watchdog  # noqa: E402, F401  (connects itself to the worker's start)
from smsapp.runtime.lifeline import end_with  # noqa: E402


@worker_process_init.connect
def end_with_the_worker(**kwargs: Any) -> None:
    """A child whose worker was killed might stand still in its task with nobody to end it. Celery asks the kernel for
    that, too, but not whether it has asked too late."""
    end_with(MAIN_PROCESS)


@worker_init.connect
@beat_init.connect
def require_the_keys_of_the_database(**kwargs: Any) -> None:
    from smsapp.monitoring import key_prints

    try:
        key_prints.require_at_start()
    except key_prints.WrongKeys as error:  # which a signal would swallow
        sys.exit(f"Not started: {error}")


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
    from messaging.restore import detection

    detection.look_once()


@worker_process_init.connect
def collect_garbage_less_often(**kwargs: Any) -> None:
    """A batch is thousands of small objects that all live until it is done: at the default threshold the collector
    looks through them, and through all of Django, again and again, which cost a fifth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
