"""The REST API and its document."""

from datetime import timedelta
from typing import Any

from smsapp.settings.env import BASE_DIR, derived_secret, env

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
        "accounts.access.authentication.ApiKeyAuthentication",
        "accounts.access.authentication.TokenAuthentication",
        "accounts.access.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.access.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["smsapp.api.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["smsapp.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "smsapp.api.openapi.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "smsapp.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is a parameter of the document alone
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
    "idempotency-original-request-id",
    "idempotency-replayed",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
]

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
        "smsapp.api.openapi.hooks.write_null_out",
        "smsapp.api.openapi.hooks.add_metrics",
        "smsapp.api.openapi.hooks.describe_words",
        "smsapp.api.openapi.hooks.give_examples",
        "smsapp.api.openapi.hooks.share_parts",
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
