"""System checks with ids: what an installation still lacks, in words an operator can act on.

The `deploy` checks run with `manage.py check --deploy` and concern production; the others run at every start.
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
MAX_BATCH = 1000  # a message key has ten bits for the index in its batch, and providers accept 1,000 a call
TASK_OVERHEAD = 15.0  # seconds that a task may need beyond its budget to finish what it holds

Apps = Sequence[AppConfig] | None


@register
def timers(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check times that only work in a certain order."""
    call = settings.GATEWAY_TIMEOUT + settings.LEASE_MARGIN
    visibility: Any = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("visibility_timeout", 3600)
    return _found(
        (
            call >= settings.LEASE_SECONDS,
            Error(
                f"LEASE_SECONDS ({settings.LEASE_SECONDS:g}) leaves no time for one gateway call.",
                hint=f"It must be more than GATEWAY_TIMEOUT + LEASE_MARGIN = {call:g} seconds.",
                id="smsapp.E001",
            ),
        ),
        (
            visibility <= settings.CELERY_TASK_TIME_LIMIT,
            Error(
                f"The broker's visibility timeout ({visibility} s) is not longer than a task may run "
                f"({settings.CELERY_TASK_TIME_LIMIT} s): running tasks would be started a second time.",
                id="smsapp.E003",
            ),
        ),
        (
            settings.TASK_BUDGET + settings.GATEWAY_TIMEOUT + settings.LEASE_SECONDS + TASK_OVERHEAD
            > settings.CELERY_TASK_TIME_LIMIT,
            Error(
                "TASK_BUDGET + GATEWAY_TIMEOUT + LEASE_SECONDS come too near to the time limit of a task "
                f"({settings.CELERY_TASK_TIME_LIMIT} s): it would be killed with a call under way.",
                id="smsapp.E004",
            ),
        ),
        (
            settings.GATEWAY_CONNECT_TIMEOUT > settings.GATEWAY_TIMEOUT,
            Error("GATEWAY_CONNECT_TIMEOUT is longer than GATEWAY_TIMEOUT, the whole call.", id="smsapp.E005"),
        ),
    )


@register
def sizes(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return _found(
        (
            not 1 <= settings.BATCH_SIZE <= MAX_BATCH,
            Error(f"BATCH_SIZE must be 1 to {MAX_BATCH}, not {settings.BATCH_SIZE}.", id="smsapp.E002"),
        ),
        (
            not settings.BATCH_SIZE <= settings.CHUNK_SIZE <= 50_000,
            Error(
                f"CHUNK_SIZE must be from BATCH_SIZE to 50000, not {settings.CHUNK_SIZE}: a chunk is one transaction.",
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
                "INFOBIP_BASE_URL is set and INFOBIP_API_KEY is not: every send would be refused.",
                hint="Make an API key in Infobip's portal and set INFOBIP_API_KEY, or a file in INFOBIP_API_KEY_FILE.",
                id="smsapp.E007",
            ),
        ),
        (
            bool(settings.TWILIO_ACCOUNT_SID) and not settings.TWILIO_AUTH_TOKEN,
            Error(
                "TWILIO_ACCOUNT_SID is set and TWILIO_AUTH_TOKEN is not: no send and no report could be proven.",
                hint="Twilio's console shows it; or a file in TWILIO_AUTH_TOKEN_FILE.",
                id="smsapp.E010",
            ),
        ),
        (
            bool(url) and not url.startswith(("https://", "http://")),
            Error(
                "INFOBIP_BASE_URL is no address.",
                hint="It looks like https://xxxxx.api.infobip.com",
                id="smsapp.E008",
            ),
        ),
        (
            url.startswith("http://") and not _is_local(url),
            Error(
                "INFOBIP_BASE_URL is not https: key, numbers and texts would travel readable.",
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
                "SECRET_KEY is the one generated in var/: machines would not share it, and it is lost with the folder.",
                hint="Set SECRET_KEY (50 random characters or more), or SECRET_KEY_FILE.",
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
                "ENCRYPTION_KEYS is not set: stored secrets are encrypted with a key derived from SECRET_KEY, so "
                "whoever learns the one has the others.",
                hint="Set ENCRYPTION_KEYS to 32 random characters or more, and run `manage.py rotate_secrets` once.",
                id="smsapp.E104",
            ),
        ),
        (
            any(len(key) < MIN_ENCRYPTION_KEY for key in settings.ENCRYPTION_KEYS),
            Error(f"A key of ENCRYPTION_KEYS is shorter than {MIN_ENCRYPTION_KEY} characters.", id="smsapp.E105"),
        ),
    )


@register(Tags.security, deploy=True)
def web(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    hosts = set(settings.ALLOWED_HOSTS)
    return _found(
        (
            settings.DEBUG,
            Error("DEBUG is on: error pages would show settings and data.", id="smsapp.E111"),
        ),
        (
            not hosts - {"127.0.0.1", "localhost", "[::1]"},
            Error(
                "ALLOWED_HOSTS names only this machine.",
                hint="Set ALLOWED_HOSTS to the names under which customers reach it.",
                id="smsapp.E112",
            ),
        ),
        ("*" in hosts, Error("ALLOWED_HOSTS allows any name (*).", id="smsapp.E113")),
        (
            not settings.PUBLIC_URL.startswith("https://"),
            Error(
                "PUBLIC_URL is not https: providers would push delivery reports in the clear, or nowhere.",
                hint="Set PUBLIC_URL to the outside address, such as https://sms.example.com",
                id="smsapp.E114",
            ),
        ),
        (
            not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE and settings.SECURE_SSL_REDIRECT),
            Error(
                "Sessions are not bound to TLS.",
                hint="Run with DJANGO_SETTINGS_MODULE=smsapp.settings.prod behind a proxy that sets X-Forwarded-Proto.",
                id="smsapp.E115",
            ),
        ),
        (
            settings.WEBHOOK_ALLOW_LOCAL,
            Error(
                "WEBHOOK_ALLOW_LOCAL is on: customers could make this service call itself and its neighbours.",
                hint="Unset it; it is for tests and demonstrations.",
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
                "TRUSTED_PROXY_COUNT is 0: behind a proxy every caller has the proxy's address, and shares its limits.",
                hint="Set TRUSTED_PROXY_COUNT to the number of proxies that append to X-Forwarded-For.",
                id="smsapp.W116",
            ),
        ),
        (
            bool(peer),
            Error(
                f"Calls came with X-Forwarded-For, from {peer}, and TRUSTED_PROXY_COUNT is 0: all callers share the "
                "proxy's address, and anybody locks everybody out.",
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
                "The database is SQLite: one writer at a time, on one machine.",
                hint="Set DATABASE_URL=postgres://user:password@host:5432/name",
                id="smsapp.E121",
            ),
        ),
        (
            not (os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")),
            Error(
                "The embedded broker is in use: it serves this machine only.",
                hint="Run a Redis or Valkey server and set REDIS_URL=redis://:password@host:6379/0",
                id="smsapp.E122",
            ),
        ),
    )


@register(deploy=True)
def statement_limits(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Check what the server really does, whoever set it: this process, or the role that it signs in as."""
    return _found(
        (
            connection.vendor == "postgresql" and _statement_timeout() == "0",
            Warning(
                "Statements have no time limit at the database server.",
                hint="With DATABASE_STARTUP_OPTIONS=false the roles need one: ALTER ROLE ... SET statement_timeout.",
                id="smsapp.W123",
            ),
        ),
    )


def _statement_timeout() -> str:
    """Return the server's limit; empty while it cannot be asked."""
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
                f"Files that every page needs are not there: {', '.join(missing)}. Pages are answered 500.",
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
                "/metrics is open to everybody: METRICS_TOKEN is not set, and METRICS_NEED_TOKEN is off.",
                hint="Set METRICS_TOKEN to 32 random characters or more, and have Prometheus offer it.",
                id="smsapp.E119",
            ),
        ),
        (
            not settings.METRICS_TOKEN and settings.METRICS_NEED_TOKEN,
            Warning(
                "METRICS_TOKEN is not set: nobody can read /metrics.",
                hint="Set METRICS_TOKEN to 32 random characters or more, and have Prometheus offer it.",
                id="smsapp.W119",
            ),
        ),
        (
            not settings.INSTANCE_ID,
            Warning(
                "INSTANCE_ID is not set: this installation is known by the address of its database, and holds sending "
                "as a copy when that is reached in another way.",
                hint="Set INSTANCE_ID to a name of its own, the same on all of its machines.",
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
                "No gateway is preferred, and no route leads to one: live messages would reach nobody.",
                hint="Set INFOBIP_BASE_URL and INFOBIP_API_KEY, or TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or add "
                "one in the console.",
                id="smsapp.E131",
            ),
        ),
    )


def _found(*cases: tuple[bool, CheckMessage]) -> list[CheckMessage]:
    return [message for applies, message in cases if applies]


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
