"""What handsets sent to us."""

from django.db import models

from accounts.models import Account


class InboundMessage(models.Model):
    """One SMS that a handset sent to a number of ours (MO)."""

    account = models.ForeignKey(
        Account,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="inbound_messages",
        help_text="Empty: nobody could say whose it is, and an operator looks at it.",
    )
    inbound_id = models.CharField(max_length=40, unique=True)
    gateway = models.CharField(max_length=40)
    provider_reference = models.CharField(max_length=120, help_text="The provider's own id of it.")
    phone_number = models.CharField(max_length=20, help_text="Who wrote, in E.164 where it is a number.")
    recipient = models.CharField(max_length=20, help_text="The number or short code of ours.")
    text = models.TextField(blank=True)
    keyword = models.CharField(max_length=40, blank=True)
    segment_count = models.SmallIntegerField(default=1)
    reply_to = models.BigIntegerField(null=True, blank=True, help_text="The message of ours it most likely answers.")
    received_at = models.DateTimeField(help_text="When the provider took it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["gateway", "provider_reference"], name="inbound_once"),
        ]
        indexes = [
            models.Index(fields=["account", "-id"], name="inbound_list"),  # the customer's inbox, newest first
            models.Index(fields=["account", "phone_number", "-id"], name="inbound_phone"),  # one conversation
        ]

    def __str__(self) -> str:
        return self.inbound_id
