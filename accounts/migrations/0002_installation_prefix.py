"""Give this installation its own prefix for message ids: five random characters, fixed for its life."""

import secrets

from django.db import migrations

ALPHABET = "abcdefghjkmnpqrstvwxyz"  # letters only: an id is never read as a number


def make_prefix(apps, schema_editor):
    apps.get_model("accounts", "Setting").objects.get_or_create(
        key="installation_prefix",
        defaults={
            "value": "".join(secrets.choice(ALPHABET) for _ in range(5)),
            "description": "First characters of every message id; tells installations apart at a provider.",
            "is_fixed": True,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(make_prefix, migrations.RunPython.noop)]
