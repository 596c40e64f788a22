"""What is left on our account at the provider, asked at most every five minutes; for operators only."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.cache import cache

from accounts.choices import Mode
from accounts.system_state import SystemState, object_or_nothing
from messaging.gateways import registry
from messaging.gateways.base import GatewayError
from smsapp.core import clock
from smsapp.core.exceptions import ServiceUnavailable

logger = logging.getLogger(__name__)

KEEP_SECONDS = 300
KEY = "provider_balance"
#: What the gateway of live messages said last, with its name.
LAST: SystemState[dict[str, Any]] = SystemState(
    KEY, "What is left at the provider of live messages.", load=object_or_nothing, dump=lambda last: json.dumps(last)
)


@dataclass(frozen=True, slots=True)
class ProviderBalance:
    balance: Decimal
    currency: str
    gateway: str
    as_of: datetime


def provider_balance(mode: str) -> ProviderBalance:
    """Return the provider's balance. Raises ServiceUnavailable if the provider does not tell."""
    try:
        gateway = registry.gateway_for(Mode(mode))
    except LookupError as error:
        raise ServiceUnavailable("No gateway is preferred whose balance could be asked for.") from error
    key = f"balance:{gateway.name}"
    known: ProviderBalance | None = cache.get(key)
    if known is not None:
        return known
    try:
        answer = gateway.balance()
    except GatewayError as error:
        raise ServiceUnavailable(f"The provider does not tell the balance at the moment: {error.detail}") from error
    balance = ProviderBalance(answer.amount, answer.currency, gateway.name, clock.about_now())
    cache.set(key, balance, KEEP_SECONDS)
    return balance


def check() -> bool:
    """Record the balance for live messages, for the console. Return whether it is above the threshold."""
    try:
        known = provider_balance(Mode.LIVE)
    except ServiceUnavailable as error:
        logger.warning("%s", error.message)
        _forget_others(registry.preferred())
        return False
    told = {
        "balance": str(known.balance),
        "currency": known.currency,
        "gateway": known.gateway,
        "as_of": known.as_of.isoformat(timespec="seconds"),
    }
    LAST.put(told)
    return not is_low(told)


def _forget_others(gateway: str | None) -> None:
    """Remove what another gateway said: it does not apply to this one."""
    if LAST.get().get("gateway") != gateway:
        LAST.delete()


def is_low(last: Mapping[str, Any]) -> bool:
    """Return whether the balance that `check` recorded is below the threshold."""
    try:
        balance = Decimal(last["balance"])
    except (ValueError, KeyError, TypeError, ArithmeticError):
        return False
    threshold: float = settings.PROVIDER_LOW_BALANCE
    return balance < Decimal(threshold)
