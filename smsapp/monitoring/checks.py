"""System checks: what is wrong or missing in an installation's configuration, and how to fix it.

The `deploy` checks concern production and run with `manage.py check --deploy`; the others run at every start.
"""

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from messaging.gateways import registry
from messaging.routing import router
from smsapp.management.commands.assets import ASSETS, SPRITE
from smsapp.monitoring import proxies

MIN_KEY_LENGTH = 50
MIN_ENCRYPTION_KEY = 32
MAX_BATCH = 1000  # a message key has ten bits for the index in its batch, and providers accept 1,000 per call
TASK_OVERHEAD = 15.0  # seconds that a task may need beyond its budget to finish the work it has leased

Apps = Sequence[AppConfig] | None


@register
def timers(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check that each timer is longer than those that run within it."""
    call = settings.GATEWAY_TIMEOUT + settings.LEASE_MARGIN
    visibility: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("visibility_timeout", 3600)
    return _found(
        (
            call >= settings.LEASE_SECONDS,
            Error(
                f"LEASE_SECONDS ({settings.LEASE_SECONDS:g}) is too short for a gateway call.",
                hint=f"Set it to more than GATEWAY_TIMEOUT + LEASE_MARGIN = {call:g} seconds.",
                id="smsapp.E001",
            ),
        ),
        (
            visibility <= settings.CELERY_TASK_TIME_LIMIT,
            Error(
                f"The broker's visibility timeout ({visibility} s) must be longer than the time limit of a task "
                f"({settings.CELERY_TASK_TIME_LIMIT} s). Otherwise running tasks are started a second time.",
                id="smsapp.E003",
            ),
        ),
        (
            settings.TASK_BUDGET + settings.GATEWAY_TIMEOUT + settings.LEASE_SECONDS + TASK_OVERHEAD
            > settings.CELERY_TASK_TIME_LIMIT,
            Error(
                "TASK_BUDGET + GATEWAY_TIMEOUT + LEASE_SECONDS is too close to the time limit of a task "
                f"({settings.CELERY_TASK_TIME_LIMIT} s). Tasks could be killed during a gateway call.",
                id="smsapp.E004",
            ),
        ),
        (
            settings.GATEWAY_CONNECT_TIMEOUT > settings.GATEWAY_TIMEOUT,
            Error(
                "GATEWAY_CONNECT_TIMEOUT is longer than GATEWAY_TIMEOUT, the limit for the whole call.",
                id="smsapp.E005",
            ),
        ),
    )


@register
def sizes(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return _found(
        (
            not 1 <= settings.BATCH_SIZE <= MAX_BATCH,
            Error(f"BATCH_SIZE must be from 1 to {MAX_BATCH}, not {settings.BATCH_SIZE}.", id="smsapp.E002"),
        ),
        (
            not settings.BATCH_SIZE <= settings.CHUNK_SIZE <= 50_000,
            Error(
                f"CHUNK_SIZE must be from BATCH_SIZE to 50000, not {settings.CHUNK_SIZE}.",
                hint="Each chunk is expanded in one transaction.",
                id="smsapp.E006",
            ),
        ),
    )


@register
def gateway(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    url = settings.INFOBIP_BASE_URL
    return _found(
        (
            bool(url) and not settings.INFOBIP_API_KEY,
            Error(
                "INFOBIP_BASE_URL is set but INFOBIP_API_KEY is not. Infobip would refuse every message.",
                hint="Create an API key in Infobip's portal and set INFOBIP_API_KEY or INFOBIP_API_KEY_FILE.",
                id="smsapp.E007",
            ),
        ),
        (
            bool(settings.TWILIO_ACCOUNT_SID) and not settings.TWILIO_AUTH_TOKEN,
            Error(
                "TWILIO_ACCOUNT_SID is set but TWILIO_AUTH_TOKEN is not. Calls and delivery reports cannot be "
                "authenticated.",
                hint="Copy the token from Twilio's console to TWILIO_AUTH_TOKEN, or set TWILIO_AUTH_TOKEN_FILE.",
                id="smsapp.E010",
            ),
        ),
        (
            bool(url) and not url.startswith(("https://", "http://")),
            Error(
                "INFOBIP_BASE_URL is not a valid URL.",
                hint="It looks like https://xxxxx.api.infobip.com",
                id="smsapp.E008",
            ),
        ),
        (
            url.startswith("http://") and not _is_local(url),
            Error(
                "INFOBIP_BASE_URL does not use https. The API key, phone numbers and texts would be sent unencrypted.",
                id="smsapp.E009",
            ),
        ),
    )


@register(Tags.security, deploy=True)
def secrets(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    is_generated = not (os.environ.get("SECRET_KEY") or os.environ.get("SECRET_KEY_FILE"))
    return _found(
        (
            is_generated,
            Error(
                "SECRET_KEY was generated in var/. Other machines do not have it, and it is lost with the folder.",
                hint="Set SECRET_KEY (50 random characters or more) or SECRET_KEY_FILE.",
                id="smsapp.E101",
            ),
        ),
        (
            len(settings.SECRET_KEY) < MIN_KEY_LENGTH,
            Error(f"SECRET_KEY is shorter than {MIN_KEY_LENGTH} characters.", id="smsapp.E102"),
        ),
        (
            not settings.ENCRYPTION_KEYS,
            Error(
                "ENCRYPTION_KEYS is not set. Stored secrets are encrypted with a key derived from SECRET_KEY, so "
                "anyone who learns SECRET_KEY can read them.",
                hint="Set ENCRYPTION_KEYS to 32 random characters or more, then run `manage.py rotate_secrets` once.",
                id="smsapp.E104",
            ),
        ),
        (
            any(len(key) < MIN_ENCRYPTION_KEY for key in settings.ENCRYPTION_KEYS),
            Error(f"A key in ENCRYPTION_KEYS is shorter than {MIN_ENCRYPTION_KEY} characters.", id="smsapp.E105"),
        ),
    )


@register(Tags.security, deploy=True)
def web(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    hosts = set(settings.ALLOWED_HOSTS)
    return _found(
        (
            settings.DEBUG,
            Error("DEBUG is on. Error pages would show settings and data.", id="smsapp.E111"),
        ),
        (
            not hosts - {"127.0.0.1", "localhost", "[::1]"},
            Error(
                "ALLOWED_HOSTS contains only this machine.",
                hint="Set ALLOWED_HOSTS to the host names that customers use.",
                id="smsapp.E112",
            ),
        ),
        ("*" in hosts, Error("ALLOWED_HOSTS allows every host name (*).", id="smsapp.E113")),
        (
            not settings.PUBLIC_URL.startswith("https://"),
            Error(
                "PUBLIC_URL does not use https. Providers would push delivery reports unencrypted, or not at all.",
                hint="Set PUBLIC_URL to the public address, such as https://sms.example.com",
                id="smsapp.E114",
            ),
        ),
        (
            not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE and settings.SECURE_SSL_REDIRECT),
            Error(
                "Sessions are not restricted to TLS.",
                hint="Run with DJANGO_SETTINGS_MODULE=smsapp.settings.prod behind a proxy that sets X-Forwarded-Proto.",
                id="smsapp.E115",
            ),
        ),
        (
            settings.WEBHOOK_ALLOW_LOCAL,
            Error(
                "WEBHOOK_ALLOW_LOCAL is on. Customers could make this service call itself and its local network.",
                hint="Unset it. It is only for tests and demonstrations.",
                id="smsapp.E116",
            ),
        ),
    )


@register(Tags.security, deploy=True)
def callers(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    peer = "" if settings.TRUSTED_PROXY_COUNT else proxies.untrusted()
    return _found(
        (
            settings.TRUSTED_PROXY_COUNT == 0,
            Warning(
                "TRUSTED_PROXY_COUNT is 0. Behind a proxy, all callers have its address and share one rate limit.",
                hint="Set TRUSTED_PROXY_COUNT to the number of proxies that append to X-Forwarded-For.",
                id="smsapp.W116",
            ),
        ),
        (
            bool(peer),
            Error(
                f"Requests with X-Forwarded-For arrive from {peer}, but TRUSTED_PROXY_COUNT is 0. All callers share "
                "the proxy's address, so one of them can lock out everybody.",
                hint="Set TRUSTED_PROXY_COUNT to the number of proxies that append to X-Forwarded-For.",
                id="smsapp.E117",
            ),
        ),
    )


@register(Tags.database, deploy=True)
def stores(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return _found(
        (
            settings.DATABASES["default"]["ENGINE"] == "smsapp.database.sqlite",
            Error(
                "The database is SQLite, which allows one writer at a time, on one machine.",
                hint="Set DATABASE_URL=postgres://user:password@host:5432/name",
                id="smsapp.E121",
            ),
        ),
        (
            not (os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")),
            Error(
                "The embedded broker is in use. It serves only this machine.",
                hint="Run a Redis or Valkey server and set REDIS_URL=redis://:password@host:6379/0",
                id="smsapp.E122",
            ),
        ),
    )


@register(deploy=True)
def statement_limits(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check the limit that is in force, whether this process or its database role has set it."""
    return _found(
        (
            connection.vendor == "postgresql" and _statement_timeout() == "0",
            Warning(
                "The database server has no time limit for statements.",
                hint="With DATABASE_STARTUP_OPTIONS=false, set it on the role: ALTER ROLE ... SET statement_timeout.",
                id="smsapp.W123",
            ),
        ),
    )


def _statement_timeout() -> str:
    """Return the server's limit; empty if the server does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return str(cursor.fetchone()[0])
    except DatabaseError:
        return ""


@register(deploy=True)
def pages(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    missing = [name for name in _assets() if not _is_served(name)]
    return _found(
        (
            bool(missing),
            Error(
                f"Files that every page needs are missing: {', '.join(missing)}. Pages would answer 500.",
                hint="Run `manage.py assets`, then `manage.py collectstatic`.",
                id="smsapp.E118",
            ),
        ),
    )


def _assets() -> list[str]:
    return [f"vendor/{asset.target}" for asset in (*ASSETS, SPRITE)]


def _is_served(name: str) -> bool:
    collected: dict[str, str] | None = getattr(staticfiles_storage, "hashed_files", None)
    return finders.find(name) is not None if collected is None else name in collected


@register(deploy=True)
def monitoring(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return _found(
        (
            not settings.METRICS_TOKEN and not settings.METRICS_NEED_TOKEN,
            Error(
                "/metrics is public: METRICS_TOKEN is not set and METRICS_NEED_TOKEN is off.",
                hint="Set METRICS_TOKEN to 32 random characters or more, and configure Prometheus to send it.",
                id="smsapp.E119",
            ),
        ),
        (
            not settings.METRICS_TOKEN and settings.METRICS_NEED_TOKEN,
            Warning(
                "METRICS_TOKEN is not set, so nobody can read /metrics.",
                hint="Set METRICS_TOKEN to 32 random characters or more, and configure Prometheus to send it.",
                id="smsapp.W119",
            ),
        ),
        (
            not settings.INSTANCE_ID,
            Warning(
                "INSTANCE_ID is not set. The installation is identified by the address of its database. If that "
                "address changes, it is taken for a copy and sending is put on hold.",
                hint="Set INSTANCE_ID to a unique name, the same on all machines of the installation.",
                id="smsapp.W124",
            ),
        ),
    )


@register(deploy=True)
def live_gateway(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return _found(
        (
            set(router.live_gateways()) <= {registry.SIMULATOR},
            Error(
                "No gateway is preferred and no route leads to one, so live messages cannot be sent.",
                hint="Set INFOBIP_BASE_URL and INFOBIP_API_KEY, or TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or add a "
                "gateway in the console.",
                id="smsapp.E131",
            ),
        ),
    )


def _found(*cases: tuple[bool, CheckMessage]) -> list[CheckMessage]:
    return [message for applies, message in cases if applies]


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
