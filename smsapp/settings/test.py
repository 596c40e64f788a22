"""Tests: own databases and key prefix, cheap password hashing, the embedded default for the rest."""

import os
import tempfile

if not os.environ.get("VAR_DIR"):
    os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="smsapp-test-")

from smsapp.settings.base import *  # noqa: F403

SECRET_KEY = "tests-only-not-a-secret-0123456789-0123456789-0123456789"  # noqa: S105
#: The servers that tests start know the same ones, whatever their folder.
OWN_KEYS = {
    "suppressions": ("tests-only-" * 4, ""),
    "entries": ("tests-only-" * 4, ""),
    "callbacks": (os.environ.get("INFOBIP_CALLBACK_TOKEN") or "tests-only-" * 4, ""),
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
FALLBACK_RATE = 1_000_000.0  # messages/s; what is paced is tested on its own
GATEWAYS_READ_EVERY = 3600.0  # those of one test are forgotten before the next
WHITENOISE_AUTOREFRESH = True  # looks a file up when it is asked for, and lists none at the start of each test

#: Many tests at once call from one address; those of the limits set their own.
API_RATE_KEY = API_RATE_USER = API_RATE_ACCOUNT = API_RATE_ADDRESS = API_RATE_REFUSED = 1_000_000
SIGN_IN_FAILURES_ADDRESS = SIGN_IN_FAILURES_NAME = 1_000_000

if DATABASES["default"]["ENGINE"] == "smsapp.database.sqlite":  # noqa: F405
    # pytest-django knows SQLite by the name of Django's own backend, and would give each process a file that cannot be.
    DATABASES["default"].setdefault("TEST", {})["NAME"] = ":memory:"  # noqa: F405
