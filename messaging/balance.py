"""What is left on our account at the provider, asked at most every five minutes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.core.cache import cache
from django.utils import timezone

from accounts.choices import Mode
from messaging import gateways
from messaging.gateways.base import GatewayError
from smsapp.exceptions import ServiceUnavailable

KEEP_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ProviderBalance:
    balance: Decimal
    currency: str
    gateway: str
    as_of: datetime


def provider_balance(mode: str) -> ProviderBalance:
    """Raises ServiceUnavailable if the provider does not say."""
    gateway = gateways.gateway_for(Mode(mode))
    key = f"balance:{gateway.name}"
    known: ProviderBalance | None = cache.get(key)
    if known is not None:
        return known
    try:
        answer = gateway.balance()
    except GatewayError as error:
        raise ServiceUnavailable(f"The provider does not tell the balance at the moment: {error.detail}") from error
    balance = ProviderBalance(answer.amount, answer.currency, gateway.name, timezone.now())
    cache.set(key, balance, KEEP_SECONDS)
    return balance
