"""WSGI entry point (gunicorn smsapp.wsgi)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsapp.settings.base")
application = get_wsgi_application()
