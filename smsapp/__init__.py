"""The project package: settings, URLs, Celery, what every API endpoint shares, pure helpers."""

from smsapp.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"
