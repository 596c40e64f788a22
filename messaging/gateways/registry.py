"""The gateways of this installation, by name: from the environment, from the console, and the simulator.

One in the console overrides what it sets of one with the same name in the environment. Each process rereads the
console's every few seconds, and goes on with what it knows while the database is down.
"""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from accounts.security import own_keys
from accounts.security.encryption import SecretUnreadable
from messaging.choices import GatewayKind
from messaging.gateways.base import Gateway, LookUpBy, Policy
from messaging.gateways.factory import MAX_BATCH, Setup, make
from messaging.models import Gateway as Row
from smsapp.core.process_cache import Reread

logger = logging.getLogger(__name__)

SIMULATOR = "simulator"

_made: dict[str, tuple[Setup, Gateway]] = {}


@dataclass(frozen=True, slots=True)
class _Console:
    """The gateways of the console.

    `unusable`: those that cannot be made, and whether one is preferred. `has_provider`: whether one is on, was tested,
    or is preferred, even if it cannot be used.
    """

    setups: Mapping[str, Setup] = field(default_factory=dict)
    unusable: Mapping[str, bool] = field(default_factory=dict)
    has_provider: bool = False


def names() -> list[str]:
    """Return the gateways that messages can go to, those of the environment first, the simulator last."""
    return [name for name, setup in _setups().items() if setup.is_enabled]


def known() -> list[str]:
    """Return all gateways, including those that are switched off: their reports are still accepted."""
    return list(_setups())


def get(name: str) -> Gateway:
    """Return the gateway of that name, one for each process (its connections survive no fork).

    Raises LookupError for a name that is not configured, ImproperlyConfigured for a set-up that cannot work.
    """
    setup = _setups().get(name)
    if setup is None:
        raise LookupError(f"no gateway {name!r} is configured")
    made = _made.get(name)
    if made is None or made[0] != setup:
        try:
            _made[name] = made = (setup, make(setup))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name.upper()} gateway: {error}") from error
    return made[1]


def preferred() -> str | None:
    """Return where live messages go while there are no routes; None: nowhere, they wait.

    That is the gateway an operator has preferred, be it on or not; else the first of the environment. Without any
    provider it is the simulator (system checks refuse that in production). One that cannot be used, or of which nothing
    could be read yet, is no reason to send by another.
    """
    setups = _setups()
    console = _console.get()
    if any(console.unusable.values()):
        return None
    if chosen := [setup for setup in setups.values() if setup.is_preferred]:
        return chosen[0].name if chosen[0].is_enabled else None
    if _from_environment() or console.has_provider:
        return of_environment()
    return SIMULATOR if _console.was_read else None


def of_environment() -> str | None:
    """Return the first gateway of the environment that is on."""
    setups = _setups()
    return next((name for name in _from_environment() if setups[name].is_enabled), None)


def gateway_for(mode: str) -> Gateway:
    """Return the simulator for `test`, and the preferred gateway for `live`. Raises LookupError if there is none."""
    name = SIMULATOR if mode == "test" else preferred()
    if name is None:
        raise LookupError("no gateway is preferred")
    return get(name)


def setup_of(name: str) -> Setup | None:
    return _setups().get(name)


def policy_of(name: str) -> Policy:
    """Return the gateway's policy; if it is no longer configured a cautious one: look up, resend nothing."""
    try:
        return get(name).policy
    except (LookupError, ImproperlyConfigured):
        return Policy(
            MAX_BATCH, settings.UNKNOWN_GRACE, None, settings.UNKNOWN_CLOSE_AFTER, look_up_by=LookUpBy.NOTHING
        )


def is_local(name: str) -> bool:
    """Return whether the gateway runs on this machine, and so can reach us without a public address."""
    setup = _setups().get(name)
    url = (setup.base_url or setup.rules.get("url", "")) if setup else ""
    return urlsplit(str(url)).hostname in ("127.0.0.1", "localhost", "::1")


def callback_token(name: str) -> str:
    """Return the secret part of the addresses that this gateway's provider calls."""
    token = own_keys.key(own_keys.CALLBACKS)
    if name == "infobip":
        return token
    return hmac.new(token.encode(), name.encode(), hashlib.sha256).hexdigest()[:40]


def reset() -> None:
    """Forget the gateways, so that the next call reads settings and database again."""
    for _, gateway in _made.values():
        gateway.close()
    _made.clear()
    _console.clear()


def forget() -> None:
    """Read those of the console again, the next time they are asked for."""
    _console.expire()


def setup_from(row: Row) -> Setup:
    """Return a row's set-up, completed by the environment's gateway of the same name and kind.

    The environment's credentials go to no other address. Raises SecretUnreadable.
    """
    kind = GatewayKind(row.kind)
    usual = (_from_environment() | {SIMULATOR: _simulator()}).get(row.name)
    if usual is None or usual.kind is not kind:
        usual = Setup(row.name, kind)
    if row.base_url not in ("", usual.base_url):
        usual = replace(usual, secrets={})
    return replace(
        usual,
        base_url=row.base_url or usual.base_url,
        secrets={**usual.secrets, **row.secrets},
        rules=row.rules,
        rate=row.rate or usual.rate,
        max_batch=row.max_batch,
        validity=row.validity,
        is_enabled=row.is_enabled,
        is_preferred=row.is_preferred,
    )


def _setups() -> dict[str, Setup]:
    """Return the set-ups by name: those of the environment, then those added in the console."""
    console = _console.get()
    setups = {
        name: console.setups.get(name) or replace(setup, is_enabled=name not in console.unusable)
        for name, setup in _from_environment().items()
    }
    added = {name: setup for name, setup in console.setups.items() if name not in setups}
    return setups | added | {SIMULATOR: _simulator()}


def _read_console() -> _Console:
    rows = list(Row.objects.order_by("pk"))
    setups: dict[str, Setup] = {}
    unusable: dict[str, bool] = {}
    for row in rows:
        try:
            setup = setup_from(row)
            make(setup).close()
        except (SecretUnreadable, ValueError) as error:
            logger.error("gateway %s of the console cannot be used: %s", row.name, error)
            unusable[row.name] = row.is_preferred
        else:
            setups[row.name] = setup
    providers = [row for row in rows if row.name != SIMULATOR]
    return _Console(setups, unusable, any(row.is_enabled or row.is_preferred or row.tested_at for row in providers))


_console = Reread("gateways", _read_console, _Console(), lambda: settings.GATEWAYS_READ_EVERY)


@receiver([post_save, post_delete], sender=Row)
def _changed(**kwargs: Any) -> None:
    """Make the change known to this process at once."""
    forget()


def _from_environment() -> dict[str, Setup]:
    setups = {}
    rate = settings.GATEWAY_RATE or None
    if settings.INFOBIP_BASE_URL:
        setups["infobip"] = Setup(
            "infobip",
            GatewayKind.INFOBIP,
            settings.INFOBIP_BASE_URL,
            {"api_key": settings.INFOBIP_API_KEY},
            rate=rate,
            resend_unknown_after=settings.RESEND_UNKNOWN_AFTER,
        )
    if settings.TWILIO_ACCOUNT_SID:
        secrets = {
            "account_sid": settings.TWILIO_ACCOUNT_SID,
            "auth_token": settings.TWILIO_AUTH_TOKEN,
            "key_sid": settings.TWILIO_KEY_SID,
            "key_secret": settings.TWILIO_KEY_SECRET,
            "messaging_service_sid": settings.TWILIO_MESSAGING_SERVICE_SID,
        }
        setups["twilio"] = Setup("twilio", GatewayKind.TWILIO, settings.TWILIO_BASE_URL, secrets, rate=rate)
    return setups


def _simulator() -> Setup:
    return Setup(
        SIMULATOR,
        GatewayKind.INFOBIP,
        settings.SIMULATOR_URL,
        {"api_key": settings.SIMULATOR_API_KEY},
        rate=settings.SIMULATOR_RATE or None,
        lookup_grace=settings.SIMULATOR_UNKNOWN_GRACE,
        log_lag=settings.SIMULATOR_LOG_LAG,
        lookups_per_minute=settings.SIMULATOR_LOOKUPS_PER_MINUTE,
        resend_unknown_after=settings.SIMULATOR_RESEND_UNKNOWN_AFTER,
    )
