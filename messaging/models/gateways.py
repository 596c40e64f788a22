"""Providers as an operator sets them up, and the routes that choose among them."""

from typing import Any

import orjson
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from accounts.models import Account
from accounts.security.encryption import decrypt, encrypt
from messaging.choices import GatewayKind
from messaging.models.message import Message

FULL_SHARE = 100


class Gateway(models.Model):
    """A provider's account, as set up in the console. It overrides one of the same name in the environment.

    Credentials are an encrypted JSON object that nobody is shown again; what it holds depends on the kind, see
    `messaging/gateways/factory.py`.
    """

    name = models.SlugField(
        max_length=40,
        unique=True,
        help_text="Stands in the addresses that the provider calls, so it stays as it is.",
    )
    kind = models.CharField(max_length=8, choices=GatewayKind)
    is_enabled = models.BooleanField(default=False, help_text="Off: nothing more goes to it; reports are still taken.")
    tested_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a test was taken, with its present settings."
    )
    is_preferred = models.BooleanField(
        default=False, editable=False, help_text="All live messages go to it while there are no routes."
    )
    base_url = models.URLField(max_length=300, blank=True, help_text="Empty: the provider's usual address.")
    credentials = models.TextField(blank=True, editable=False)
    rules = models.JSONField(default=dict, blank=True, help_text="Of a custom HTTP gateway: how it is called.")
    rate = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="Messages a second, of all processes together. Empty: no ceiling.",
    )
    max_batch = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Messages in one call; where the provider takes one recipient: requests at the same time.",
    )
    validity = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(60), MaxValueValidator(172_800)],
        help_text="Seconds for which the provider tries to deliver, unless a campaign says otherwise.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=GatewayKind.values), name="gateway_kind_known"),
            models.UniqueConstraint(
                fields=["is_preferred"], condition=models.Q(is_preferred=True), name="one_gateway_preferred"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def secrets(self) -> dict[str, str]:
        """Return the credentials. Raises SecretUnreadable."""
        text = decrypt(self.credentials)
        stored: dict[str, Any] = orjson.loads(text) if text else {}
        return {name: str(value) for name, value in stored.items()}

    @secrets.setter
    def secrets(self, values: dict[str, str]) -> None:
        self.credentials = encrypt(orjson.dumps(values).decode()) if values else ""


class Route(models.Model):
    """Messages that go to a gateway. The most specific routes win, see `messaging/routing/router.py`."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="routes")
    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="Empty: every account."
    )
    sender_id = models.CharField(max_length=16, blank=True, help_text="Empty: every sender.")
    prefix = models.CharField(
        max_length=8,
        blank=True,
        validators=[RegexValidator(r"\A[1-9][0-9]*\Z", "Digits, without a plus.")],
        help_text="What the number begins with, digits without plus: 49, 1415. Empty: every number.",
    )
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="The lowest goes first; the next is for when its gateways are down."
    )
    weight = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Its share among routes that are equal in everything else.",
    )
    cost_micro = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="What a segment costs us here, in millionths; for reports and for you.",
    )
    is_enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["prefix", "account", "sender_id", "priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "account", "sender_id", "prefix"],
                name="route_once",
                violation_error_message="There is a route for the same messages to the same gateway.",
            ),
            models.UniqueConstraint(
                fields=["gateway", "sender_id", "prefix"],
                condition=models.Q(account=None),
                name="route_for_all_once",
                violation_error_message="There is a route for the same messages to the same gateway.",
            ),
        ]

    def __str__(self) -> str:
        return f"{f'+{self.prefix}' if self.prefix else 'every number'} by {self.gateway.name}"


class RouteHealth(models.Model):
    """How well a gateway does for numbers with one prefix: the last measurement, and the share of its weight.

    `messaging/routing/gateway_health.py` moves it in steps.
    """

    gateway = models.CharField(max_length=40)
    prefix = models.CharField(max_length=8, blank=True)
    share = models.PositiveSmallIntegerField(default=FULL_SHARE, help_text="Of its weight, in hundredths.")
    sent = models.PositiveIntegerField(default=0, help_text="Messages it took in the time that was measured.")
    delivered = models.PositiveIntegerField(default=0)
    undelivered = models.PositiveIntegerField(default=0)
    silent = models.PositiveIntegerField(default=0, help_text="Without a report for longer than usual.")
    failed_calls = models.PositiveIntegerField(default=0)
    detail = models.CharField(max_length=200, blank=True)
    measured_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "health of routes"
        constraints = [models.UniqueConstraint(fields=["gateway", "prefix"], name="health_once")]

    def __str__(self) -> str:
        return f"{self.gateway} {self.prefix}"


class ProviderReference(models.Model):
    """A provider's own id of a message, where it takes none of ours."""

    gateway = models.CharField(max_length=40)
    reference = models.CharField(max_length=120)
    message = models.ForeignKey(
        Message, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="provider_references"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["gateway", "reference"], name="provider_reference_once")]
        indexes = [
            models.Index(fields=["message"], name="provider_reference_message"),
            models.Index(fields=["created_at"], name="provider_reference_age"),  # purging
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.reference}"
