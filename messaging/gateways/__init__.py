"""The gateways of this installation, by name. The only file here that reads settings.

A new provider is a file beside this one, a function below that makes it from settings, and a line in MAKERS.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from messaging.gateways.base import Gateway, Policy
from messaging.gateways.infobip import Infobip

MAX_BATCH = 1000
SIMULATOR = "simulator"


def _infobip() -> Gateway:
    return Infobip(
        base_url=settings.INFOBIP_BASE_URL,
        api_key=settings.INFOBIP_API_KEY,
        policy=Policy(
            max_batch=MAX_BATCH,
            lookup_grace=settings.UNKNOWN_GRACE,
            resend_unknown_after=settings.RESEND_UNKNOWN_AFTER,
            close_unknown_after=settings.UNKNOWN_CLOSE_AFTER,
            lookups_per_minute=settings.LOOKUPS_PER_MINUTE,
        ),
        connect_timeout=settings.GATEWAY_CONNECT_TIMEOUT,
        timeout=settings.GATEWAY_TIMEOUT,
    )


def _simulator() -> Gateway:
    return Infobip(
        name=SIMULATOR,
        base_url=settings.SIMULATOR_URL,
        api_key=settings.SIMULATOR_API_KEY,
        policy=Policy(
            max_batch=MAX_BATCH,
            lookup_grace=settings.SIMULATOR_UNKNOWN_GRACE,
            resend_unknown_after=settings.SIMULATOR_RESEND_UNKNOWN_AFTER,
            close_unknown_after=settings.UNKNOWN_CLOSE_AFTER,
            lookups_per_minute=settings.SIMULATOR_LOOKUPS_PER_MINUTE,
        ),
        connect_timeout=settings.GATEWAY_CONNECT_TIMEOUT,
        timeout=settings.GATEWAY_TIMEOUT,
    )


MAKERS: dict[str, Callable[[], Gateway]] = {"infobip": _infobip, SIMULATOR: _simulator}

_made: dict[str, Gateway] = {}


def names() -> list[str]:
    """The gateways that can be used, the preferred one first."""
    return [name for name in MAKERS if name == SIMULATOR or settings.INFOBIP_BASE_URL]


def get(name: str) -> Gateway:
    """The gateway of that name, one for each process (its connections survive no fork).

    Raises LookupError for a name that is not configured, ImproperlyConfigured for a base URL that is none.
    """
    if name not in _made:
        if name not in names():
            raise LookupError(f"no gateway {name!r} is configured")
        try:
            _made[name] = MAKERS[name]()
        except ValueError as error:
            raise ImproperlyConfigured(f"{name.upper()} gateway: {error}") from error
    return _made[name]


def gateway_for(mode: str) -> Gateway:
    """`test` goes to the simulator; `live` to the preferred gateway, which without any provider is the simulator
    too (system checks refuse that in production)."""
    return get(SIMULATOR if mode == "test" else names()[0])


def policy_of(name: str) -> Policy:
    """Its policy; for one that is no longer configured the cautious one: look again, send nothing again."""
    try:
        return get(name).policy
    except LookupError:
        return Policy(MAX_BATCH, settings.UNKNOWN_GRACE, None, settings.UNKNOWN_CLOSE_AFTER)


def is_local(name: str) -> bool:
    """Whether the gateway runs on this machine, and so can reach us without a public address."""
    url = settings.SIMULATOR_URL if name == SIMULATOR else settings.INFOBIP_BASE_URL
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def reset() -> None:
    """Forget the gateways, so that the next call reads the settings again."""
    for gateway in _made.values():
        gateway.close()
    _made.clear()
