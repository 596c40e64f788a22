"""Accounts, people, and what a person may do in an account."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts.choices import Role


class Account(models.Model):
    """A customer organisation: the tenant."""

    name = models.CharField(max_length=120)
    default_country = models.CharField(
        max_length=2, default="US", help_text="ISO 3166 code; numbers in national format are read as this country's."
    )
    is_active = models.BooleanField(default=True, help_text="A held account can sign in and read, and sends nothing.")
    is_metered = models.BooleanField(
        default=False, help_text="Pays from prepaid credit; others send without a balance."
    )
    currency = models.CharField(max_length=3, default="EUR", help_text="ISO 4217; of its price list and its credit.")
    balance_micro = models.BigIntegerField(
        default=0, help_text="Credit left to reserve, in millionths of the currency. Moved by services only."
    )
    reserved_micro = models.BigIntegerField(
        default=0, help_text="Credit set aside for campaigns that are not charged yet, in millionths."
    )
    low_balance_micro = models.BigIntegerField(default=0, help_text="Below this the account is told. 0: never.")
    daily_message_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages accepted in one day (UTC), at most. Empty: no limit."
    )
    approval_above = models.PositiveIntegerField(
        null=True, blank=True, help_text="Campaigns with more recipients need a second person. Empty: none does."
    )
    callback_secret = models.TextField(blank=True, help_text="Encrypted; signs what is sent to callback URLs.")
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
