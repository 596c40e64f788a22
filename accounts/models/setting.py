"""System-wide values."""

from django.db import models


class Setting(models.Model):
    """One system-wide value an operator may read and, unless it is marked fixed, change."""

    key = models.CharField(max_length=80, unique=True)
    value = models.TextField(blank=True)
    description = models.CharField(max_length=300, blank=True)
    is_fixed = models.BooleanField(default=False, help_text="Set by the installation; changing it would break ids.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "settings"

    def __str__(self) -> str:
        return self.key
