"""Nearly all settings, every one from the environment. With no environment at all: the embedded default
(SQLite and a generated key under `var/`, the embedded Redis-protocol server, the simulator as gateway).

Here is what Django itself needs; each other subject has a file beside this one.
"""

from django.utils.translation import get_language_info

from smsapp.settings.api import *  # noqa: F403
from smsapp.settings.background import *  # noqa: F403
from smsapp.settings.database import *  # noqa: F403
from smsapp.settings.env import *  # noqa: F403
from smsapp.settings.env import BASE_DIR, env
from smsapp.settings.logging import *  # noqa: F403
from smsapp.settings.security import *  # noqa: F403
from smsapp.settings.sending import *  # noqa: F403

DEBUG = env.bool("DEBUG", default=False)
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
    "accounts.dashboard.workspace.WorkspaceMiddleware",
    "smsapp.middleware.SafeHeadersMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "smsapp.api.request_log.UsageMiddleware",
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
    "accounts.access.session_limits.SessionLimitsMiddleware",
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
                "smsapp.dashboard.navigation.frame",
            ],
            "builtins": [
                "smsapp.templatetags.display",
                "smsapp.templatetags.figures",
                "smsapp.templatetags.icons",
                "smsapp.templatetags.tables",
                "accounts.templatetags.workspace",
            ],
        },
    },
]

# --- Language, time, files --------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "smsapp" / "locale"]
#: English, and every language with a catalogue: `make messages LANGUAGE=de`, then `make messages-compiled`.
LANGUAGES = [
    ("en", "English"),
    *(
        (code, get_language_info(code)["name_local"])
        for code in sorted(found.parts[-3] for found in LOCALE_PATHS[0].glob("*/LC_MESSAGES/django.mo"))
    ),
]
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["smsapp.formats"]
STATIC_URL = "/static/"
STATIC_ROOT: str | None = None  # files are served from where they stand; production collects them
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
