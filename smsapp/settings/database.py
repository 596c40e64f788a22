"""The database: PostgreSQL, or SQLite, the embedded default."""

import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from smsapp.database.limits import Kind, kind_of, time_limits
from smsapp.settings.env import VAR_DIR, env

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'smsapp.sqlite3'}")
}
_database = DATABASES["default"]
_kind = kind_of(sys.argv[0])
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["ENGINE"] = "smsapp.database.sqlite"
    # IMMEDIATE: a transaction that will write takes the write lock first, so no "database is locked" on upgrade.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "transaction_within": 0 if _kind is Kind.COMMAND else 60,  # seconds; a migration may take longer
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-20000;",
    }
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["ENGINE"] = "smsapp.database.postgresql"
    _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=300)
    _database["CONN_HEALTH_CHECKS"] = True
    #: Seconds of one statement, in a web request and in all other work. 0: no limit.
    DATABASE_WEB_TIMEOUT = env.float("DATABASE_WEB_TIMEOUT", default=5.0)
    DATABASE_WORK_TIMEOUT = env.float("DATABASE_WORK_TIMEOUT", default=60.0)
    # No server-side binding with prepared statements: plans for any value save the server a quarter of its work on the
    # way of a message, and cannot use the indexes that are made for one (state = 'ready').
    _database.setdefault("OPTIONS", {}).update(
        time_limits(
            DATABASE_WEB_TIMEOUT if _kind is Kind.WEB else DATABASE_WORK_TIMEOUT,
            at_start=env.bool("DATABASE_STARTUP_OPTIONS", default=True),
        )
    )
else:
    raise ImproperlyConfigured("DATABASE_URL must be a postgres:// or sqlite:// URL: no other database is supported.")
