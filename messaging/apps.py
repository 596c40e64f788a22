from django.apps import AppConfig

from accounts import secrets


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        secrets.register("messaging.Gateway", "credentials")
