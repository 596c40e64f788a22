"""Django for the ordinary design."""

import os

import environ

SECRET_KEY = "of no use outside the benchmark"
INSTALLED_APPS = ["tests.benchmarks.ordinary"]
DATABASES = {"default": environ.Env.db_url_config(os.environ["ORDINARY_DATABASE_URL"]) | {"CONN_MAX_AGE": None}}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
LOGGING_CONFIG = None
