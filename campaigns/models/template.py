"""Message templates."""

from django.conf import settings
from django.db import models

from accounts.models import Account


class MessageTemplate(models.Model):
    """A reusable text with {placeholders}."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="templates")
    template_id = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    message = models.TextField(help_text="The text, with {placeholders}.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="template_name_once")]

    def __str__(self) -> str:
        return self.name
