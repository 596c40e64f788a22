"""Where every gateway of the environment was switched off, messages went by the first of the console's: they still do."""

from typing import Any

from django.conf import settings
from django.db import migrations


def keep_what_works(apps: Any, schema_editor: Any) -> None:
    gateways = apps.get_model("messaging", "Gateway")
    environment = {"infobip": settings.INFOBIP_BASE_URL, "twilio": settings.TWILIO_ACCOUNT_SID}
    names = {name for name, value in environment.items() if value}
    off = set(gateways.objects.filter(is_enabled=False, name__in=names).values_list("name", flat=True))
    if not names or names - off or gateways.objects.filter(is_preferred=True).exists():
        return
    on = gateways.objects.filter(is_enabled=True).exclude(name__in={*names, "simulator"})
    if (first := on.order_by("pk").first()) is not None:
        gateways.objects.filter(pk=first.pk).update(is_preferred=True)


class Migration(migrations.Migration):
    dependencies = [("messaging", "0012_gateways_are_switched_on")]

    operations = [migrations.RunPython(keep_what_works, migrations.RunPython.noop)]
