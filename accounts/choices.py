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


class LedgerKind(TextChoices):
    TOP_UP = "top_up", "Top-up"
    CHARGE = "charge", "Charged"
    REFUND = "refund", "Charge taken back"
    CORRECTION = "correction", "Correction by an operator"


class EndpointKind(TextChoices):
    ENDPOINT = "endpoint", "Endpoint"
    CALLBACK = "callback", "Callback URL of a send"


class EventType(TextChoices):
    """What a customer's system may be told of. Results of messages come grouped, in events of type `message.status`."""

    MESSAGE_ACCEPTED = "message.accepted", "Message taken by the provider"
    MESSAGE_DELIVERED = "message.delivered", "Message delivered"
    MESSAGE_UNDELIVERED = "message.undelivered", "Message not delivered"
    MESSAGE_FAILED = "message.failed", "Message never handed over"
    MESSAGE_EXPIRED = "message.expired", "Message not handed over in time"
    MESSAGE_UNCONFIRMED = "message.unconfirmed", "Message closed without proof"
    MESSAGE_CORRECTED = "message.corrected", "Earlier result of a message corrected"
    CAMPAIGN_STARTED = "campaign.started", "Campaign started"
    CAMPAIGN_PAUSED = "campaign.paused", "Campaign paused"
    CAMPAIGN_COMPLETED = "campaign.completed", "Campaign completed"
    CAMPAIGN_CANCELLED = "campaign.cancelled", "Campaign cancelled"
    UPLOAD_COMPLETED = "upload.completed", "Upload read"
    UPLOAD_FAILED = "upload.failed", "Upload could not be read"
    BALANCE_LOW = "balance.low", "Balance low"
    INBOUND_RECEIVED = "inbound.received", "Message received"
    OPTOUT_RECEIVED = "optout.received", "Recipient opted out"
    ENDPOINT_DISABLED = "endpoint.disabled", "Webhook endpoint switched off"
    PING = "ping", "Test"


#: The type of a body that carries results of messages; each of them names its own event of the list above.
MESSAGE_STATUS = "message.status"


class WebhookState(TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class Scope(TextChoices):
    """What a key may be allowed; a role is a set of them. `read` never changes anything."""

    MESSAGES_READ = "messages:read", "See messages and delivery reports"
    MESSAGES_SEND = "messages:send", "Send to single numbers"
    CAMPAIGNS_READ = "campaigns:read", "See campaigns and templates"
    CAMPAIGNS_WRITE = "campaigns:write", "Make, start and stop campaigns; change templates"
    CONTACTS_READ = "contacts:read", "See uploads, contacts and opt-outs"
    CONTACTS_WRITE = "contacts:write", "Upload files; change contacts and opt-outs"
    ACCOUNT_READ = "account:read", "See balance, ledger, usage and senders"
    ACCOUNT_WRITE = "account:write", "Ask for senders"
    WEBHOOKS_READ = "webhooks:read", "See webhooks and their deliveries"
    WEBHOOKS_WRITE = "webhooks:write", "Change, test and replay webhooks"
    KEYS_READ = "keys:read", "See API keys"
    KEYS_WRITE = "keys:write", "Make, rotate and revoke API keys"


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
