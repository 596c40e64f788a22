"""Message ids no longer tell how many batches there are: `messaging/seal.py`. Those of before stay as they are."""

import secrets

from django.db import migrations
from django.db.models import Max

from messaging.migrations._view import seal_view

BY_OLD_PROCESSES = 10_000  # batches that those which still run during an upgrade may make, with ids as they know them


def make_seal(apps, schema_editor):
    last = apps.get_model("messaging", "Batch").objects.aggregate(last=Max("id"))["last"]
    values = [last + BY_OLD_PROCESSES if last else 0, *(secrets.randbits(30) | 1 << 29 for _ in range(8))]
    for place, value in enumerate(values):
        apps.get_model("accounts", "Setting").objects.get_or_create(
            key=f"message_id_seal_{place}",
            defaults={
                "value": str(value),
                "description": "Makes message ids tell nobody how many messages are sent.",
                "is_fixed": True,
            },
        )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_installation_prefix"),
        ("messaging", "0014_roadless"),
    ]
    operations = [migrations.RunPython(make_seal, migrations.RunPython.noop), *seal_view()]
