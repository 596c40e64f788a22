from django.apps import AppConfig

from accounts.security import encryption


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        encryption.register("messaging.Gateway", "credentials")
