"""Who did what."""

from django.db import models

from accounts.models.people import Account, User


class AuditEvent(models.Model):
    """One thing a person, a key or an operator did. Only ever added; sealed into a chain of hashes soon afterwards.

    Rows are written in the transaction of the act and sealed by a task in the order of their ids, so that no two acts
    wait for each other. `accounts/security/audit.py`
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    api_key_prefix = models.CharField(max_length=12, blank=True, help_text="Public part of the key that was used.")
    action = models.CharField(max_length=60, help_text="Subject and verb, e.g. campaign.paused")
    target_type = models.CharField(max_length=40, blank=True)
    target_id = models.CharField(max_length=60, blank=True, help_text="Its public id.")
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    position = models.BigIntegerField(null=True, unique=True, help_text="Its place in the chain; empty until sealed.")
    hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 over the hash before it and this row.")

    class Meta:
        indexes = [
            models.Index(fields=["account", "-id"], name="audit_account"),  # an account's own log, newest first
            models.Index(fields=["target_type", "target_id"], name="audit_target"),  # who did what to this
            models.Index(fields=["id"], name="audit_unsealed", condition=models.Q(position=None)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_id}"

    @property
    def words(self) -> str:
        """“Campaign paused”, “API key issued”: the action as a person reads it."""
        text = self.action.replace(".", " ").replace("_", " ")
        return text[:1].upper() + text[1:] if not text.startswith("api ") else f"API{text[3:]}"

    @property
    def about(self) -> str:
        """Its target, where that tells a person something: the hash of a number does not."""
        return "" if self.target_type == "suppression" else self.target_id
