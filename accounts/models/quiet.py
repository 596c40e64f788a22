"""When nobody gets bulk messages, by country."""

from django.core.validators import RegexValidator
from django.db import models


class QuietHours(models.Model):
    """Hours of a country in which bulk campaigns hold back, on the recipient's clock."""

    prefix = models.CharField(
        max_length=8,
        unique=True,
        validators=[RegexValidator(r"\A[1-9][0-9]*\Z", "Digits, without a plus.")],
        help_text="What its numbers begin with, digits without plus: 33, 1, 1787.",
    )
    country = models.CharField(max_length=60, blank=True, help_text="For your own eyes.")
    begins = models.TimeField(help_text="Local time, such as 21:00.")
    ends = models.TimeField(help_text="Local time, the next morning if it is earlier.")
    is_enabled = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "quiet hours"
        ordering = ["prefix"]

    def __str__(self) -> str:
        return f"+{self.prefix}: {self.begins:%H:%M} to {self.ends:%H:%M}"
