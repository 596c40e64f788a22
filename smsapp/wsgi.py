"""WSGI entry point (gunicorn smsapp.wsgi)."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsapp.settings.base")
application = get_wsgi_application()
_ = get_resolver().url_patterns  # imports all views now, and not while the first requests wait for them
