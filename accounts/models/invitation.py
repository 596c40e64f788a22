"""Invitations to an account."""

from django.db import models

from accounts.choices import Role
from accounts.models.people import Account, User, normal_email
from smsapp.core import clock


class Invitation(models.Model):
    """That somebody may join an account, if they want to. It gives nothing before it is accepted.

    Accepting or withdrawing it removes the row; the audit log keeps what happened.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(help_text="Only a person with this address can accept it.")
    role = models.CharField(max_length=10, choices=Role, default=Role.SENDER)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the link's secret.")
    created_at = models.DateTimeField(default=clock.about_now)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "email"],
                name="invitation_once_per_account",
                violation_error_message="This address has an invitation to the account already.",
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="invitation_role_known"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="invitation_age")]  # purging

    def __str__(self) -> str:
        return f"{self.email} to {self.account}"

    def clean(self) -> None:
        self.email = normal_email(self.email)

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= clock.about_now()
