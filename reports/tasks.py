"""Celery tasks of reports."""

from celery import shared_task

from reports import rollup


@shared_task(name="reports.fold_statistics")
def fold_statistics() -> int:
    return rollup.fold()
