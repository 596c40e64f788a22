"""Calls that may be repeated without being done twice."""

from django.db import models

from accounts.choices import Mode
from accounts.models.people import Account


class IdempotencyKey(models.Model):
    """The stored answer to one call, written in the transaction of its work. `accounts/idempotency.py`"""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, route and body.")
    status_code = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True, help_text="Encrypted: it may hold a secret that is shown once.")
    request_id = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "mode", "key"], name="idempotency_key_once"),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]  # purging

    def __str__(self) -> str:
        return self.key
