"""Roles, modes and states of the accounts app."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Role(TextChoices):
    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    SENDER = "sender", _("Sender")
    VIEWER = "viewer", _("Viewer")


class Mode(TextChoices):
    """Test goes to the simulator only, costs nothing and is in no statistics."""

    LIVE = "live", _("Live")
    TEST = "test", _("Test")


class SenderKind(TextChoices):
    ALPHANUMERIC = "alphanumeric", _("Alphanumeric")
    NUMBER = "number", _("Long number")
    SHORT_CODE = "short_code", _("Short code")


class SenderStatus(TextChoices):
    PENDING = "pending", _("Pending")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class LedgerKind(TextChoices):
    TOP_UP = "top_up", _("Top-up")
    CHARGE = "charge", _("Charged")
    REFUND = "refund", _("Charge taken back")
    CORRECTION = "correction", _("Correction by an operator")


class EndpointKind(TextChoices):
    ENDPOINT = "endpoint", _("Endpoint")
    CALLBACK = "callback", _("Callback URL of a send")


class EventType(TextChoices):
    """What a customer's system may be told of. Results of messages come grouped, in events of type `message.status`."""

    MESSAGE_ACCEPTED = "message.accepted", _("Message taken by the provider")
    MESSAGE_DELIVERED = "message.delivered", _("Message delivered")
    MESSAGE_UNDELIVERED = "message.undelivered", _("Message not delivered")
    MESSAGE_FAILED = "message.failed", _("Message never handed over")
    MESSAGE_EXPIRED = "message.expired", _("Message not handed over in time")
    MESSAGE_UNCONFIRMED = "message.unconfirmed", _("Message closed without proof")
    MESSAGE_CORRECTED = "message.corrected", _("Earlier result of a message corrected")
    CAMPAIGN_STARTED = "campaign.started", _("Campaign started")
    CAMPAIGN_PAUSED = "campaign.paused", _("Campaign paused")
    CAMPAIGN_COMPLETED = "campaign.completed", _("Campaign completed")
    CAMPAIGN_CANCELLED = "campaign.cancelled", _("Campaign cancelled")
    UPLOAD_COMPLETED = "upload.completed", _("Upload read")
    UPLOAD_FAILED = "upload.failed", _("Upload could not be read")
    BALANCE_LOW = "balance.low", _("Balance low")
    INBOUND_RECEIVED = "inbound.received", _("Message received")
    OPTOUT_RECEIVED = "optout.received", _("Recipient opted out")
    ACCOUNT_HELD = "account.held", _("Account put on hold")
    SPEND_ALERT = "spend.alert", _("Much of the day's spending limit is used")
    ENDPOINT_DISABLED = "endpoint.disabled", _("Webhook endpoint switched off")
    PING = "ping", _("Test")


#: The type of a body that carries results of messages; each of them names its own event of the list above.
MESSAGE_STATUS = "message.status"


class WebhookState(TextChoices):
    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Failed")


class Scope(TextChoices):
    """What a key may be allowed; a role is a set of them. `read` never changes anything."""

    MESSAGES_READ = "messages:read", _("See messages and delivery reports")
    MESSAGES_SEND = "messages:send", _("Send to single numbers")
    CAMPAIGNS_READ = "campaigns:read", _("See campaigns and templates")
    CAMPAIGNS_WRITE = "campaigns:write", _("Make, start and stop campaigns; change templates")
    CONTACTS_READ = "contacts:read", _("See uploads, contacts and opt-outs")
    CONTACTS_WRITE = "contacts:write", _("Upload files; change contacts and opt-outs")
    ACCOUNT_READ = "account:read", _("See balance, ledger, usage and senders")
    ACCOUNT_WRITE = "account:write", _("Ask for senders")
    WEBHOOKS_READ = "webhooks:read", _("See webhooks and their deliveries")
    WEBHOOKS_WRITE = "webhooks:write", _("Change, test and replay webhooks")
    KEYS_READ = "keys:read", _("See API keys")
    KEYS_WRITE = "keys:write", _("Make, rotate and revoke API keys")


_READ = frozenset(scope for scope in Scope if scope.value.endswith(":read") and scope is not Scope.KEYS_READ)
_SEND = _READ | {Scope.MESSAGES_SEND, Scope.CAMPAIGNS_WRITE, Scope.CONTACTS_WRITE}

#: What each role may do.
SCOPES_OF: dict[Role, frozenset[Scope]] = {
    Role.OWNER: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
    Role.SENDER: _SEND,
    Role.VIEWER: _READ,
}

#: Roles that may start something that costs money.
SENDING_ROLES = {Role.OWNER, Role.ADMIN, Role.SENDER}
