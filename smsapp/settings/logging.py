"""Logs: to standard error, one line each, without credentials and phone numbers."""

from smsapp.settings.env import env

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "smsapp.core.context.RequestIdFilter"},
        "damping": {"()": "smsapp.core.log_damping.Damping"},
    },
    "formatters": {
        "line": {
            "class": "smsapp.core.log_redaction.RedactingFormatter",
            "format": "%(levelname)s %(name)s %(message)s%(request_id)s",
        }
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id", "damping"]}
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "httpx2": {"level": "WARNING"},
        "httpcore2": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "django_celery_beat": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
}
