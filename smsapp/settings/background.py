"""Redis: broker, cache, locks; and Celery, which works through `smsapp/queues.py`."""

from smsapp import queues
from smsapp.settings.env import derived_secret, env

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
CELERY_BEAT_SCHEDULER = "smsapp.runtime.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 2
SILENT_AFTER = env.float("SILENT_AFTER", default=150.0)  # from the last sign of life to being called down
PULSE_EVERY = SILENT_AFTER / 6
CELERY_BEAT_SCHEDULE = queues.BEAT_SCHEDULE | queues.pulses(PULSE_EVERY)
CELERY_TIMEZONE = "UTC"
