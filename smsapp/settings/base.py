"""Nearly all settings, every one from the environment. With no environment at all: the embedded default
(SQLite and a generated key under `var/`, the embedded Redis-protocol server, the simulator as gateway).

Each name is explained in `.env.example`. A secret NAME may also come from a file named by NAME_FILE.
"""

import hashlib
import hmac
import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from smsapp import queues
from smsapp.database.limits import Kind, kind_of, time_limits

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var")

env = environ.FileAwareEnv()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")
# An empty variable means "not set": shells and compose files write it so.
env.ENVIRON = environ.FileAwareMapping(env={name: value for name, value in os.environ.items() if value})


def generated_secret_key() -> str:
    """The embedded default's key: made once, kept in `var/secret_key`, readable by its owner only."""
    path = VAR_DIR / "secret_key"
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        key = secrets.token_urlsafe(50)
        file.write(key)
    return key


def derived_secret(purpose: str, key: str = "") -> str:
    """A secret of its own for one purpose, from SECRET_KEY or one of before (HMAC-SHA256, hex)."""
    return hmac.new((key or SECRET_KEY).encode(), purpose.encode(), hashlib.sha256).hexdigest()


# --- Installation -----------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or generated_secret_key()
#: Keys of before: what was hashed with one is still recognised, and hashed with SECRET_KEY when it is used.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
PORT = env.int("PORT", default=5001)
#: Where providers reach this installation, e.g. https://sms.example.com. Empty: delivery reports are polled.
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")
#: Names this installation wherever its database is: one that comes to another is held as a copy.
INSTANCE_ID = env.str("INSTANCE_ID", default="")
#: Seconds without a sign of life after which a start asks the providers what they have before it sends anything.
STOPPED_AFTER = env.float("STOPPED_AFTER", default=60.0)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
#: Proxies between callers and this server that append to X-Forwarded-For. 0: the header is ignored.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "smsapp.urls"
WSGI_APPLICATION = "smsapp.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "smsapp",
    "accounts",
    "uploads",
    "campaigns",
    "messaging",
    "reports",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",  # its templates, beside our own
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_htmx",
    "axes",
    "corsheaders",
    "csp",
]

MIDDLEWARE = [
    "smsapp.middleware.RequestIdMiddleware",
    "accounts.workspace.WorkspaceMiddleware",
    "smsapp.middleware.SafeHeadersMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "smsapp.api.usage.UsageMiddleware",
    "smsapp.api.options.OptionsMiddleware",
    "smsapp.middleware.UnreadBodyMiddleware",
    "smsapp.request_body.RequestBodyMiddleware",
    "smsapp.middleware.RefuseNulMiddleware",
    "smsapp.middleware.MonitorMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "smsapp.middleware.CallbackMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "smsapp.middleware.PagesLocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.session_limits.SessionLimitsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "smsapp.frame.frame",
            ],
            "builtins": [
                "smsapp.templatetags.figures",
                "smsapp.templatetags.icons",
                "accounts.templatetags.workspace",
            ],
        },
    },
]

# --- Database ---------------------------------------------------------------------------------------------

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

# --- Redis protocol: broker, cache, locks -----------------------------------------------------------------

EMBEDDED_BROKER_PORT = env.int("EMBEDDED_BROKER_PORT", default=5002)
EMBEDDED_BROKER_PASSWORD = derived_secret("embedded-broker")
REDIS_URL = env.str("REDIS_URL", default=f"redis://:{EMBEDDED_BROKER_PASSWORD}@127.0.0.1:{EMBEDDED_BROKER_PORT}/0")
#: Set it where several installations share one Redis server: none then sees the other's keys or tasks.
REDIS_KEY_PREFIX = env.str("REDIS_KEY_PREFIX", default="smsapp")

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": REDIS_KEY_PREFIX,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 2, "SOCKET_TIMEOUT": 2, "IGNORE_EXCEPTIONS": True},
    }
}

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_KEY_PREFIX}:",
    "visibility_timeout": 300,  # longer than any task; a killed worker's wake-up comes back, and does no harm
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "max_retries": 0,  # of one publication: beat wakes what a lost one would have woken
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlasts any outage of the broker
#: A door that cannot reach the broker goes on at once: the row is committed and beat wakes its work.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = queues.PERIODIC
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_ROUTES = queues.TASK_ROUTES
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 120
#: KiB. A child that has been larger is replaced after its task: what reading a million rows took is not kept beside
#: what sending them takes.
CELERY_WORKER_MAX_MEMORY_PER_CHILD = env.int("WORKER_MAX_MEMORY_KIB", default=180_000)
#: Seconds in which idle children begin none of the tasks that wait, until the worker ends and is started again.
WORKER_STUCK_AFTER = env.float("WORKER_STUCK_AFTER", default=20.0)
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 15
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # leases make a second run harmless
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "smsapp.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 2
SILENT_AFTER = env.float("SILENT_AFTER", default=150.0)  # from the last sign of life to being called down
PULSE_EVERY = SILENT_AFTER / 6
CELERY_BEAT_SCHEDULE = queues.BEAT_SCHEDULE | queues.pulses(PULSE_EVERY)
CELERY_TIMEZONE = "UTC"

# --- Sign-in and security ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign-in"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "accounts.passwords.PredictableValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours; axes' own default is to lock for ever
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # sign-ins stand in the audit log; and this one makes a session for each of the API
AXES_CLIENT_IP_CALLABLE = "smsapp.middleware.client_network"
AXES_WHITELIST_CALLABLE = "accounts.guessing.is_from_known_browser"
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"
#: Failed sign-ins in a quarter of an hour: of strangers by address, and of one name from wherever it is not known.
SIGN_IN_FAILURES_ADDRESS = env.int("SIGN_IN_FAILURES_ADDRESS", default=30)
SIGN_IN_FAILURES_NAME = env.int("SIGN_IN_FAILURES_NAME", default=20)  # beyond it a few tries a minute
CREDIT_MAX_AMOUNT = env.int("CREDIT_MAX_AMOUNT", default=1_000_000)  # of a currency, booked by hand at once
SIGN_IN_DAYS = env.int("SIGN_IN_DAYS", default=90)  # how long records of sign-ins and failures are kept
SESSION_ENGINE = "accounts.session_store"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # seconds from signing in
#: Seconds without a call after which a session has ended, and those in the console.
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=12 * 3600)
CONSOLE_IDLE_SECONDS = env.int("CONSOLE_IDLE_SECONDS", default=30 * 60)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # bytes of a request body that is not a file
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
#: Keys of the secrets that are stored encrypted: the first encrypts, all decrypt, the derived ones as the last.
ENCRYPTION_KEYS = [key for text in env.list("ENCRYPTION_KEYS", default=[]) if (key := text.strip())]
ENCRYPTION_KEYS_DERIVED = [derived_secret("encryption", key) for key in (SECRET_KEY, *SECRET_KEY_FALLBACKS)]
#: What outlives SECRET_KEY, by its name in `accounts/own_keys.py`: as it is given here, and what it is else, once made.
_FIRST_KEY = SECRET_KEY_FALLBACKS[-1] if SECRET_KEY_FALLBACKS else SECRET_KEY
OWN_KEYS = {
    "suppressions": (env.str("SUPPRESSION_KEY", default=""), derived_secret("suppressions", _FIRST_KEY)),
    "callbacks": (env.str("INFOBIP_CALLBACK_TOKEN", default=""), derived_secret("infobip-callback", _FIRST_KEY)[:40]),
    "entries": ("", derived_secret("ledger-entries", _FIRST_KEY)),
}
#: Events also to http and to this machine: for tests and demonstrations only.
WEBHOOK_ALLOW_LOCAL = env.bool("WEBHOOK_ALLOW_LOCAL", default=False)
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

# --- Gateway ----------------------------------------------------------------------------------------------

#: How long a campaign that somebody starts in the dashboard can be undone before it begins; 0: not at all.
UNDO_SECONDS = env.int("UNDO_SECONDS", default=30)
#: Default port of the simulator, the gateway of an installation that has not configured one.
SIMULATOR_PORT = env.int("SIMULATOR_PORT", default=5003)
SIMULATOR_API_KEY = env.str("SIMULATOR_API_KEY", default="simulator")
SIMULATOR_URL = env.str("SIMULATOR_URL", default=f"http://127.0.0.1:{SIMULATOR_PORT}")
INFOBIP_BASE_URL = env.str("INFOBIP_BASE_URL", default="").rstrip("/")
INFOBIP_API_KEY = env.str("INFOBIP_API_KEY", default="")
TWILIO_BASE_URL = env.str("TWILIO_BASE_URL", default="").rstrip("/")  # empty: Twilio's own
TWILIO_ACCOUNT_SID = env.str("TWILIO_ACCOUNT_SID", default="")
TWILIO_AUTH_TOKEN = env.str("TWILIO_AUTH_TOKEN", default="")
TWILIO_KEY_SID = env.str("TWILIO_KEY_SID", default="")  # an API key, used to send instead of the token
TWILIO_KEY_SECRET = env.str("TWILIO_KEY_SECRET", default="")
TWILIO_MESSAGING_SERVICE_SID = env.str("TWILIO_MESSAGING_SERVICE_SID", default="")
GATEWAYS_READ_EVERY = env.float("GATEWAYS_READ_EVERY", default=5.0)  # seconds; those of the console, and routes

GATEWAY_CONNECT_TIMEOUT = env.float("GATEWAY_CONNECT_TIMEOUT", default=5.0)  # seconds
GATEWAY_TIMEOUT = env.float("GATEWAY_TIMEOUT", default=15.0)  # seconds for a whole call
GATEWAY_CALLS_IN_FLIGHT = env.int("GATEWAY_CALLS_IN_FLIGHT", default=8)  # to one gateway, by one process

GATEWAY_RATE = env.float("GATEWAY_RATE", default=0.0)  # messages a second, of all processes together; 0: no ceiling
SIMULATOR_RATE = env.float("SIMULATOR_RATE", default=0.0)
SENDING_PROCESSES = env.int("SENDING_PROCESSES", default=4)  # among which the rate is divided while Redis is lost
FALLBACK_RATE = env.float("FALLBACK_RATE", default=100.0)  # messages a second of one process then, without a ceiling
BREAKER_CALLS = env.int("BREAKER_CALLS", default=20)
BREAKER_SHARE = env.float("BREAKER_SHARE", default=0.5)
BREAKER_WINDOW = env.float("BREAKER_WINDOW", default=30.0)  # seconds
BREAKER_COOL_DOWN = env.float("BREAKER_COOL_DOWN", default=10.0)  # seconds; doubles with each probe that fails
BREAKER_COOL_DOWN_MAX = env.float("BREAKER_COOL_DOWN_MAX", default=300.0)  # seconds

# --- Pipeline: sizes and timers (seconds) -----------------------------------------------------------------

CHUNK_SIZE = env.int("CHUNK_SIZE", default=5000)  # recipients in one AudienceChunk
BATCH_SIZE = env.int("BATCH_SIZE", default=1000)  # messages in one Batch, at most 1000
LEASE_SECONDS = env.float("LEASE_SECONDS", default=60.0)
LEASE_MARGIN = env.float("LEASE_MARGIN", default=5.0)  # no call starts with less than its time-out + this left
MAX_LEASES = env.int("MAX_LEASES", default=5)  # leases that ended without a result before a batch is poison
RETRY_BACKOFF = env.float("RETRY_BACKOFF", default=2.0)  # first wait after "not sent"; doubles, with jitter
RETRY_BACKOFF_MAX = env.float("RETRY_BACKOFF_MAX", default=300.0)
#: Messages that a gateway refuses in a row for the same reason, or calls that it refuses for our account's sake amid
#: successes, before the campaign is paused. 0: each is rejected by itself, and a refused account pauses at once.
REFUSALS_BEFORE_PAUSE = env.int("REFUSALS_BEFORE_PAUSE", default=10)
UNKNOWN_GRACE = env.float("UNKNOWN_GRACE", default=300.0)  # from a lost answer to the first look-up
LOG_LAG = env.float("LOG_LAG", default=30.0)  # from a call to its being in the provider's log for certain
UNKNOWN_CLOSE_AFTER = env.float("UNKNOWN_CLOSE_AFTER", default=47 * 3600.0)  # provider logs end at 48 hours
#: Send again what the provider's log does not know, this long after the call. Empty: never (close as unconfirmed).
RESEND_UNKNOWN_AFTER = env.float("RESEND_UNKNOWN_AFTER", default=0.0) or None
LOOKUPS_PER_MINUTE = env.float("LOOKUPS_PER_MINUTE", default=120.0)  # what Infobip allows
SIMULATOR_LOOKUPS_PER_MINUTE = env.float("SIMULATOR_LOOKUPS_PER_MINUTE", default=6000.0)
SIMULATOR_UNKNOWN_GRACE = env.float("SIMULATOR_UNKNOWN_GRACE", default=3.0)
SIMULATOR_LOG_LAG = env.float("SIMULATOR_LOG_LAG", default=0.0)
SIMULATOR_RESEND_UNKNOWN_AFTER = env.float("SIMULATOR_RESEND_UNKNOWN_AFTER", default=5.0)
NO_ROUTE_HOURS = env.float("NO_ROUTE_HOURS", default=24.0)  # a single send waits so long for a route, then fails
REPORT_DEADLINE_HOURS = env.float("REPORT_DEADLINE_HOURS", default=120.0)  # validity 48 h + 72 h
REPORT_CHECK_AFTER = env.float("REPORT_CHECK_AFTER", default=900.0)  # to the first look-up of missing reports
RELEASE_LOOKUPS_PER_MINUTE = env.float("RELEASE_LOOKUPS_PER_MINUTE", default=60.0)  # of the 120 Infobip allows
LATE_START_WINDOW = env.float("LATE_START_WINDOW", default=3600.0)  # a campaign due longer ago is `missed`
PROVIDER_LOW_BALANCE = env.float("PROVIDER_LOW_BALANCE", default=0.0)  # in its currency; 0: never
REPORT_INBOX_HOURS = env.int("REPORT_INBOX_HOURS", default=72)
TASK_BUDGET = env.float("TASK_BUDGET", default=5.0)  # how long one dispatch or expansion task works on

# --- Uploads ----------------------------------------------------------------------------------------------

UPLOAD_DIR = VAR_DIR / "uploads"
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=95_000_000)  # 2,000,000 rows of 47 bytes
UPLOAD_MAX_ROWS = env.int("UPLOAD_MAX_ROWS", default=2_000_000)
UPLOAD_KEEP_HOURS = env.float("UPLOAD_KEEP_HOURS", default=24.0)  # the file itself, after it was parsed

# --- API --------------------------------------------------------------------------------------------------

#: Calls a minute. A key may have a limit of its own.
API_RATE_KEY = env.int("API_RATE_KEY", default=3000)
API_RATE_USER = env.int("API_RATE_USER", default=6000)
API_RATE_ACCOUNT = env.int("API_RATE_ACCOUNT", default=6000)
API_RATE_ADDRESS = env.int("API_RATE_ADDRESS", default=12_000)
API_RATE_REFUSED = env.int("API_RATE_REFUSED", default=60)  # wrong keys and passwords, by address
#: Seconds for which a web server that was asked to stop goes on taking requests, while /health/ready sends none here.
DRAIN_SECONDS = env.float("DRAIN_SECONDS", default=0.0)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # asked of whoever reads /metrics
METRICS_NEED_TOKEN = env.bool("METRICS_NEED_TOKEN", default=False)  # without one nobody reads them
API_USAGE_DAYS = env.int("API_USAGE_DAYS", default=90)  # how long the request log is kept

REST_FRAMEWORK = {
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS tells nobody what classes say to programmers; see smsapp/api/options.py
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["smsapp.api.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["smsapp.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "smsapp.api.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "smsapp.api.errors.exception_handler",
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is a parameter of the document alone
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT: dict[str, Any] = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": derived_secret("access-tokens"),
    "ISSUER": "smsapp",
    "AUDIENCE": "smsapp-api",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),  # of a sign-in and all that is refreshed from it
    "USER_ID_CLAIM": "sub",
}

#: Origins whose pages may call the API from a browser, with a key or a token and never with cookies.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_METHODS = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"]
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "idempotency-key", "x-api-key", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "idempotency-original-request-id", "idempotency-replayed", "ratelimit", "ratelimit-policy", "retry-after",
    "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id",
]  # fmt: skip

SPECTACULAR_SETTINGS = {
    "TITLE": "smsapp API",
    "VERSION": "1",
    "DESCRIPTION": (BASE_DIR / "smsapp" / "api" / "guide.md").read_text(encoding="utf-8"),
    "OAS_VERSION": "3.1.0",
    "CONTACT": {"name": "The operator of this installation"},
    "LICENSE": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
    "SERVE_INCLUDE_SCHEMA": False,
    "WEBHOOKS": "accounts.api.webhook_events.WEBHOOKS",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "smsapp.api.document.write_null_out",
        "smsapp.api.document.add_metrics",
        "smsapp.api.document.describe_words",
        "smsapp.api.document.give_examples",
        "smsapp.api.document.share_parts",
    ],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "metricsToken": {
                "type": "http",
                "scheme": "bearer",
                "description": "METRICS_TOKEN of the installation, for `/metrics` only.",
            }
        }
    },
    "SERVERS": [{"url": "/", "description": "This installation."}],
    "TAGS": [
        {"name": name, "description": description}
        for name, description in (
            ("sms", "Send: one text to up to 100 numbers, or a campaign in one call."),
            ("messages", "Single messages: what became of each, what was answered, what would be sent."),
            ("reports", "Delivery reports, as providers gave them."),
            ("campaigns", "From draft to receipt, approval, launch, pause and the end."),
            ("recurring-campaigns", "Campaigns that come again, by a rule on a clock."),
            ("templates", "Texts kept to be used again."),
            ("uploads", "Files of recipients."),
            ("contacts", "Contact lists, and numbers that are never texted."),
            ("senders", "What the handset shows."),
            ("webhooks", "Where events go, and what became of each."),
            ("account", "Credit, usage, and the log of calls."),
            ("api-keys", "Credentials of programs."),
            ("auth", "Tokens of people."),
            ("service", "For load balancers and monitors."),
        )
    ],
    "ENUM_NAME_OVERRIDES": {
        "EndpointKind": "accounts.choices.EndpointKind",
        "CampaignKind": "campaigns.choices.CampaignKind",
        "SenderKind": "accounts.choices.SenderKind",
        **{
            f"{name.title()}Status": f"smsapp.api.statuses.{name}.choices"
            for name in ("MESSAGE", "CAMPAIGN", "CANARY", "RECURRING", "UPLOAD", "SENDER", "DELIVERY", "HEALTH")
        },
        "LiveStatus": ["OK"],
        "MessageReason": "messaging.choices.Reason",
        "RowReason": "uploads.choices.RowReason",
        "PauseReason": "campaigns.choices.PauseReason",
    },
}

# --- Language, time, files, logs --------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "smsapp" / "locale"]
#: English, and whatever was translated: `make messages LANGUAGE=de`, then `make messages-compiled`.
LANGUAGES = [
    ("en", "English"),
    *((found.parts[-3], found.parts[-3]) for found in sorted(LOCALE_PATHS[0].glob("*/LC_MESSAGES/django.mo"))),
]
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["smsapp.formats"]
STATIC_URL = "/static/"
STATIC_ROOT: str | None = None  # files are served from where they stand; production collects them
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "smsapp.middleware.RequestIdFilter"},
        "damping": {"()": "smsapp.damping.Damping"},
    },
    "formatters": {
        "line": {
            "class": "smsapp.redaction.RedactingFormatter",
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
