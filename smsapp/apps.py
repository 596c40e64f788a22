from django.apps import AppConfig


class SmsappConfig(AppConfig):
    name = "smsapp"
    verbose_name = "smsapp"

    def ready(self) -> None:
        from smsapp.database import among, within  # noqa: F401  (register lookups)
        from smsapp.monitoring import checks  # noqa: F401  (registers the system checks)
