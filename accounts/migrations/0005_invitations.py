"""Invitations; and e-mail addresses in small letters, so that two spellings of one address are one person.

Where two people differ in case only, the one who was there first keeps the address. The other gets one that reaches
nobody, and the audit log holds what it was: an operator sets it right.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import smsapp.core.clock


def write_in_small_letters(apps, schema_editor):
    User = apps.get_model("accounts", "User")
    AuditEvent = apps.get_model("accounts", "AuditEvent")
    taken, changes = set(), []
    for person in User.objects.order_by("pk").only("pk", "username", "email").iterator():
        email = person.email.strip().lower()
        if email in taken:
            email = f"person-{person.pk}@duplicate.invalid"
        taken.add(email)
        if email != person.email:
            changes.append((email.endswith("@duplicate.invalid"), person, email))
    # Who loses an address first, so that it is free for who keeps it.
    for _, person, email in sorted(changes, key=lambda change: not change[0]):
        AuditEvent.objects.create(
            action="user.email_changed",
            target_type="user",
            target_id=person.username[:60],
            before={"email": person.email},
            after={"email": email},
        )
        User.objects.filter(pk=person.pk).update(email=email)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_columns_start_on_the_clock_of_the_database"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "email",
                    models.EmailField(help_text="Only a person with this address can accept it.", max_length=254),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("owner", "Owner"), ("admin", "Admin"), ("sender", "Sender"), ("viewer", "Viewer")],
                        default="sender",
                        max_length=10,
                    ),
                ),
                (
                    "token_hash",
                    models.CharField(
                        editable=False, help_text="SHA-256 of the link's secret.", max_length=64, unique=True
                    ),
                ),
                ("created_at", models.DateTimeField(default=smsapp.core.clock.about_now)),
                ("expires_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to="accounts.account"
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "email"),
                        name="invitation_once_per_account",
                        violation_error_message="This address has an invitation to the account already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["owner", "admin", "sender", "viewer"])),
                        name="invitation_role_known",
                    ),
                ],
            },
        ),
        migrations.RunPython(write_in_small_letters, migrations.RunPython.noop),
    ]
