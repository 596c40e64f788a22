"""What every app stands on (`lib`, `core`), and what stands on them (`api`, `dashboard`, `monitoring`, `runtime`)."""

from smsapp.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "1.0.0"
