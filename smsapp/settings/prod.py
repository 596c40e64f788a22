"""Production: what an installation behind TLS adds. `manage.py check --deploy` says what is still missing."""

from smsapp.monitoring import sentry
from smsapp.settings.base import *  # noqa: F403
from smsapp.settings.env import BASE_DIR, env

SECRET_KEY = env.str("SECRET_KEY")  # no working default: a start without it fails
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
METRICS_NEED_TOKEN = env.bool("METRICS_NEED_TOKEN", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = False
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # preload is a promise for every subdomain: the operator's to make
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
WHITENOISE_USE_FINDERS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

if SENTRY_DSN := env.str("SENTRY_DSN", default=""):
    sentry.begin(SENTRY_DSN)
