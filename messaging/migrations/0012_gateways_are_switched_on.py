"""A gateway is off until a test has passed, and is preferred only because somebody said so.

What works goes on working: those that are on count as tested, and where the environment names no provider, the first of
them, which has been the preferred one so far, is now so by its row.
"""

from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.models import F


def keep_what_works(apps: Any, schema_editor: Any) -> None:
    gateways = apps.get_model("messaging", "Gateway")
    on = gateways.objects.filter(is_enabled=True).exclude(name="simulator")
    on.update(tested_at=F("updated_at"))
    if settings.INFOBIP_BASE_URL or settings.TWILIO_ACCOUNT_SID:
        return
    if (first := on.order_by("pk").first()) is not None:
        gateways.objects.filter(pk=first.pk).update(is_preferred=True)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0011_refusals_in_a_row")]

    operations = [
        migrations.AlterField(
            model_name="gateway",
            name="is_enabled",
            field=models.BooleanField(
                default=False, help_text="Off: nothing more goes to it; reports are still taken."
            ),
        ),
        migrations.AddField(
            model_name="gateway",
            name="tested_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When a test was taken, with its present settings.", null=True
            ),
        ),
        migrations.AddField(
            model_name="gateway",
            name="is_preferred",
            field=models.BooleanField(
                default=False, editable=False, help_text="All live messages go to it while there are no routes."
            ),
        ),
        migrations.RunPython(keep_what_works, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="gateway",
            constraint=models.UniqueConstraint(
                condition=models.Q(is_preferred=True), fields=("is_preferred",), name="one_gateway_preferred"
            ),
        ),
    ]
