"""Sign-ins of the API."""

import uuid

from django.db import models

from accounts.models.people import Account, User


class TokenFamily(models.Model):
    """One sign-in for the API with all its tokens: only its latest refresh token is valid."""

    family_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    current_jti = models.CharField(max_length=32, help_text="Id of the latest refresh token.")
    password_mark = models.CharField(max_length=64, help_text="Keyed hash that changes with the person's password.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "token families"
        indexes = [models.Index(fields=["expires_at"], name="token_family_age")]  # purging

    def __str__(self) -> str:
        return str(self.family_id)
