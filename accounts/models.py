"""Who pays, and who may do what. Every row of the product belongs to an Account."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from accounts.choices import Mode, Role, SenderKind, SenderStatus


class Account(models.Model):
    """A customer organisation: the tenant."""

    name = models.CharField(max_length=120)
    default_country = models.CharField(
        max_length=2, default="US", help_text="ISO 3166 code; numbers in national format are read as this country's."
    )
    is_active = models.BooleanField(default=True, help_text="A held account can sign in and read, and sends nothing.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person. What a person may do in an account is said by a Membership."""

    email = models.EmailField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    accounts = models.ManyToManyField(Account, through="Membership", related_name="users")


class Membership(models.Model):
    """One person's role in one account."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "user"], name="membership_once_per_account"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.account} ({self.role})"


class ApiKey(models.Model):
    """A machine's credential. The secret is shown once and stored as a keyed hash (`accounts/services.py`)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys", help_text="Who made it.")
    name = models.CharField(max_length=80)
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    prefix = models.CharField(max_length=12, unique=True, help_text="The public part, by which the key is found.")
    secret_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        constraints = [models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="api_key_mode_known")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_usable(self) -> bool:
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not expired


class SenderId(models.Model):
    """What the handset shows as the sender. An account may use it once an operator has approved it."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="sender_ids")
    value = models.CharField(max_length=16)
    kind = models.CharField(max_length=12, choices=SenderKind)
    status = models.CharField(max_length=8, choices=SenderStatus, default=SenderStatus.PENDING)
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
