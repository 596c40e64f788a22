"""Names that no account gets as its sender without an operator's decision."""

from django.db import models


class ReservedName(models.Model):
    """A bank, an authority, a brand: a sender that looks like it is refused when a customer requests it."""

    name = models.CharField(max_length=16, unique=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
