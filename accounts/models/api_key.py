"""Credentials of machines."""

from django.db import models

from accounts.choices import Mode
from accounts.models.people import Account, User
from smsapp.core import clock


class ApiKey(models.Model):
    """A machine's credential. The secret is shown once and stored as a keyed hash (`accounts/access/api_keys.py`)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys", help_text="Who made it.")
    name = models.CharField(max_length=80)
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    prefix = models.CharField(max_length=12, unique=True, help_text="The public part, by which the key is found.")
    secret_hash = models.CharField(max_length=64)
    scopes = models.JSONField(default=list, help_text="What it may do; never more than its owner's role.")
    allowed_networks = models.JSONField(
        default=list, blank=True, help_text="Networks it may be used from, as 203.0.113.0/24. Empty: from anywhere."
    )
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Calls a minute. Empty: the installation's own limit."
    )
    replaced_by = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replaces",
        help_text="The key it was rotated to; it works until it expires.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        constraints = [models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="api_key_mode_known")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_usable(self) -> bool:
        expired = self.expires_at is not None and self.expires_at <= clock.about_now()
        return self.revoked_at is None and not expired
