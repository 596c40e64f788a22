"""Tests: own databases and key prefix, cheap password hashing, the embedded default for the rest."""

import os
import tempfile

if not os.environ.get("VAR_DIR"):
    os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="smsapp-test-")

from smsapp.settings.base import *  # noqa: F403

SECRET_KEY = "tests-only-not-a-secret-0123456789-0123456789-0123456789"  # noqa: S105
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
FALLBACK_RATE = 1_000_000.0  # messages/s; what is paced is tested on its own
GATEWAYS_READ_EVERY = 3600.0  # those of one test are forgotten before the next
WHITENOISE_AUTOREFRESH = True  # looks a file up when it is asked for, and lists none at the start of each test

#: Many tests at once call from one address; those of the limits set their own.
API_RATE_KEY = API_RATE_USER = API_RATE_ACCOUNT = API_RATE_ADDRESS = API_RATE_REFUSED = 1_000_000
