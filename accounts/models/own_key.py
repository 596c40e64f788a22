"""Keys that this installation made for itself."""

from django.db import models


class OwnKey(models.Model):
    """One of the keys of `accounts/security/own_keys.py`, encrypted as every secret: one row for each name."""

    name = models.CharField(max_length=40, unique=True)
    value = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "own_keys"

    def __str__(self) -> str:
        return self.name
