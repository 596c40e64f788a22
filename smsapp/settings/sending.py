"""Gateways, the pipeline, uploads."""

from smsapp.settings.env import VAR_DIR, env

# --- Gateway --------------------------------------------------------------------------------------------

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

# --- Pipeline: sizes and timers (seconds) ---------------------------------------------------------------

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

# --- Uploads --------------------------------------------------------------------------------------------

UPLOAD_DIR = VAR_DIR / "uploads"
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=95_000_000)  # 2,000,000 rows of 47 bytes
UPLOAD_MAX_ROWS = env.int("UPLOAD_MAX_ROWS", default=2_000_000)
UPLOAD_KEEP_HOURS = env.float("UPLOAD_KEEP_HOURS", default=24.0)  # the file itself, after it was parsed
