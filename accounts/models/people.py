"""Accounts, people, and what a person may do in an account."""

import secrets
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower

from accounts.choices import Role
from smsapp.core.sentences import SentenceField


def new_public_id() -> str:
    """Return ten random characters: a running number would tell how many accounts there are."""
    return secrets.token_hex(5)


class Account(models.Model):
    """A customer organisation: the tenant."""

    public_id = models.CharField(
        max_length=16,
        unique=True,
        editable=False,
        default=new_public_id,
        help_text="Names it in addresses of the dashboard and in the API.",
    )
    name = models.CharField(max_length=120)
    default_country = models.CharField(
        max_length=2, default="US", help_text="ISO 3166 code; numbers in national format are read as this country's."
    )
    is_active = models.BooleanField(default=True, help_text="A held account can sign in and read, and sends nothing.")
    hold_reason = SentenceField(max_length=200, blank=True, help_text="Why it is on hold, where that was automatic.")
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
    approval_above_micro = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Campaigns that cost more need a second person, in millionths. Empty: no limit.",
    )
    rate = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01)],
        help_text="Messages a second of all its sends together. Empty: no limit.",
    )
    quiet_from = models.TimeField(null=True, blank=True, help_text="Nothing is sent in bulk from then, local time")
    quiet_until = models.TimeField(null=True, blank=True, help_text="until then. Empty: as in the country.")
    allowed_countries = models.CharField(
        max_length=400, blank=True, help_text="ISO 3166 codes with spaces between them: DE AT CH. Empty: all."
    )
    guards_numbers = models.BooleanField(
        default=False, help_text="Holds the account when it sends to numbers in a row, as who pumps traffic does."
    )
    recipient_hourly_limit = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Messages to one number in an hour, of all campaigns together. Empty: no limit.",
    )
    recipient_daily_limit = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Messages to one number in 24 hours. Empty: no limit.",
    )
    daily_spend_limit_micro = models.BigIntegerField(
        null=True, blank=True, help_text="What it may spend in one day (UTC), in millionths. Empty: no limit."
    )
    opt_out_reply = models.CharField(
        max_length=160, blank=True, help_text="What a number that sends STOP is answered, once. Empty: nothing."
    )
    callback_secret = models.TextField(blank=True, help_text="Encrypted; signs what is sent to callback URLs.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


def normal_email(text: str) -> str:
    """Return the one spelling of an address: two that differ in case only belong to the same person."""
    return text.strip().lower()


class User(AbstractUser):
    """A person. Memberships say what a person may do in an account."""

    email = models.EmailField(unique=True, help_text="In small letters: it names the person, whatever its case.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    accounts = models.ManyToManyField(Account, through="Membership", related_name="users")

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_in_small_letters")
        ]

    def clean_fields(self, exclude: Any = None) -> None:
        self.email = normal_email(self.email)
        super().clean_fields(exclude)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = normal_email(self.email)
        super().save(*args, **kwargs)


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
