"""Notifying customers' systems of events."""

from django.db import models

from accounts.choices import EndpointKind, Mode, WebhookState
from accounts.models.people import Account
from smsapp.core import clock
from smsapp.core.sentences import SentenceField


class WebhookEndpoint(models.Model):
    """An address for events of one account: one the customer set up, or the `callback_url` of a send."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhook_endpoints")
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    kind = models.CharField(max_length=8, choices=EndpointKind, default=EndpointKind.ENDPOINT)
    endpoint_id = models.CharField(max_length=40, unique=True)
    url = models.URLField(max_length=500)
    description = models.CharField(max_length=120, blank=True)
    event_types = models.JSONField(default=list, blank=True, help_text="Which events it gets. Empty: all of them.")
    show_numbers = models.BooleanField(default=False, help_text="Phone numbers in full, not only their last digits.")
    secret = models.TextField(blank=True, help_text="Encrypted. Empty for a callback URL: the account's own is used.")
    old_secret = models.TextField(blank=True, help_text="Encrypted; signs beside the new one after a rotation.")
    old_secret_until = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = SentenceField(max_length=200, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True, help_text="First failure since its last success.")
    failure_count = models.PositiveIntegerField(default=0, help_text="Failures since its last success.")
    slow_until = models.DateTimeField(null=True, blank=True, help_text="It asked for less: nothing goes out before.")
    told_failing_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "mode", "kind", "url"], name="webhook_endpoint_once"),
            models.CheckConstraint(condition=models.Q(kind__in=EndpointKind.values), name="webhook_kind_known"),
        ]
        indexes = [
            # what the console shows as failing
            models.Index(
                fields=["failing_since"], name="webhook_failing", condition=models.Q(failing_since__isnull=False)
            ),
            # purging: callback URLs that nobody uses
            models.Index(
                fields=["updated_at"],
                name="webhook_callback_age",
                condition=models.Q(kind=EndpointKind.CALLBACK),
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """A finished event for one endpoint, committed in the transaction of the change it tells of: the outbox.

    waiting -> delivered          2xx
    waiting -> failed             the last try failed, or the endpoint was switched off
    failed | delivered -> waiting  by replay, with the same event id; the log keeps every try
    """

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.CharField(max_length=40, help_text="The header webhook-id: the same at every try and replay.")
    event_type = models.CharField(max_length=40)
    body = models.TextField(help_text="JSON as it is sent.")
    state = models.CharField(max_length=10, choices=WebhookState, default=WebhookState.WAITING)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=clock.about_now)
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status of the last answer.")
    created_at = models.DateTimeField(default=clock.about_now)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=WebhookState.values), name="webhook_state_known"),
        ]
        indexes = [
            # claiming: from endpoint to endpoint, of each the next few
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                name="webhook_waiting",
                condition=models.Q(state=WebhookState.WAITING),
            ),
            models.Index(fields=["endpoint", "-id"], name="webhook_list"),  # an endpoint's log, newest first
            models.Index(fields=["event_id"], name="webhook_event"),  # one delivery, as the API names it
            models.Index(fields=["created_at"], name="webhook_age"),  # purging
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class WebhookAttempt(models.Model):
    """One call of an endpoint."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    started_at = models.DateTimeField(default=clock.about_now)
    duration_ms = models.PositiveIntegerField()
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, help_text="Why there was no answer.")
    response = models.CharField(max_length=1024, blank=True, help_text="The beginning of what it answered.")

    def __str__(self) -> str:
        return f"{self.http_status or self.error}"
