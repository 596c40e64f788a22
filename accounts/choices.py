"""Roles, modes and states of the accounts app."""

from django.db.models import TextChoices


class Role(TextChoices):
    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    SENDER = "sender", "Sender"
    VIEWER = "viewer", "Viewer"


class Mode(TextChoices):
    """Test goes to the simulator only, costs nothing and is in no statistics."""

    LIVE = "live", "Live"
    TEST = "test", "Test"


class SenderKind(TextChoices):
    ALPHANUMERIC = "alphanumeric", "Alphanumeric"
    NUMBER = "number", "Long number"
    SHORT_CODE = "short_code", "Short code"


class SenderStatus(TextChoices):
    PENDING = "pending", "Pending"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


#: Roles that may start something that costs money.
SENDING_ROLES = {Role.OWNER, Role.ADMIN, Role.SENDER}
