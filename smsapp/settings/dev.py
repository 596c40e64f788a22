"""Development: the embedded default with Django's debug pages."""

from smsapp.settings.base import *  # noqa: F403

DEBUG = True
