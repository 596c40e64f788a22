"""What the handset shows as the sender."""

from django.core.validators import MinValueValidator
from django.db import models

from accounts.choices import SenderKind, SenderStatus
from accounts.models.people import Account


class SenderId(models.Model):
    """What the handset shows as the sender. An account may use it once an operator has approved it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sender_ids")
    value = models.CharField(max_length=16)
    kind = models.CharField(max_length=12, choices=SenderKind)
    status = models.CharField(max_length=8, choices=SenderStatus, default=SenderStatus.PENDING)
    is_transactional = models.BooleanField(
        default=False, help_text="For codes and notices that people wait for: no quiet hours. An operator decides."
    )
    rate = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="Messages a second that its number or code can send. Empty: no limit.",
    )
    note = models.CharField(max_length=200, blank=True, help_text="The operator's word to the customer.")
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "sender ID"
        constraints = [
            models.UniqueConstraint(fields=["account", "value"], name="sender_id_once_per_account"),
            models.CheckConstraint(condition=models.Q(status__in=SenderStatus.values), name="sender_id_status_known"),
        ]

    def __str__(self) -> str:
        return self.value
