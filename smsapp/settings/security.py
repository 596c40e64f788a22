"""Sign-in, sessions, headers, keys."""

from smsapp.settings.env import SECRET_KEY, SECRET_KEY_FALLBACKS, derived_secret, env

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign-in"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = [
    "accounts.access.hashers.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "accounts.access.passwords.PredictableValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours; axes' own default is to lock for ever
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # sign-ins stand in the audit log; and this one makes a session for each of the API
AXES_CLIENT_IP_CALLABLE = "smsapp.core.context.client_network"
AXES_WHITELIST_CALLABLE = "accounts.access.guessing.is_from_known_browser"
AXES_LOCKOUT_TEMPLATE = "accounts/locked.html"
#: Failed sign-ins in a quarter of an hour: of strangers by address, and of one name from wherever it is not known.
SIGN_IN_FAILURES_ADDRESS = env.int("SIGN_IN_FAILURES_ADDRESS", default=30)
SIGN_IN_FAILURES_NAME = env.int("SIGN_IN_FAILURES_NAME", default=20)  # beyond it a few tries a minute
CREDIT_MAX_AMOUNT = env.int("CREDIT_MAX_AMOUNT", default=1_000_000)  # of a currency, booked by hand at once
SIGN_IN_DAYS = env.int("SIGN_IN_DAYS", default=90)  # how long records of sign-ins and failures are kept
SESSION_ENGINE = "accounts.access.session_store"
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
#: What outlives SECRET_KEY, by its name in `accounts/security/own_keys.py`: as it is given here, and what it is else,
#: once made.
_FIRST_KEY = SECRET_KEY_FALLBACKS[-1] if SECRET_KEY_FALLBACKS else SECRET_KEY
OWN_KEYS = {
    "suppressions": (env.str("SUPPRESSION_KEY", default=""), derived_secret("suppressions", _FIRST_KEY)),
    "callbacks": (env.str("INFOBIP_CALLBACK_TOKEN", default=""), derived_secret("infobip-callback", _FIRST_KEY)[:40]),
    "entries": ("", derived_secret("ledger-entries", _FIRST_KEY)),
}
#: Events also to http and to this machine: for tests and demonstrations only.
WEBHOOK_ALLOW_LOCAL = env.bool("WEBHOOK_ALLOW_LOCAL", default=False)
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
