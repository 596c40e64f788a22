"""Who pays, and who may do what. Every row of the product belongs to an Account."""

from accounts.models.api_key import ApiKey
from accounts.models.audit import AuditEvent
from accounts.models.credit import DailyUse, LedgerEntry, Price
from accounts.models.idempotency import IdempotencyKey
from accounts.models.invitation import Invitation
from accounts.models.own_key import OwnKey
from accounts.models.people import Account, Membership, User
from accounts.models.quiet import QuietHours
from accounts.models.reserved import ReservedName
from accounts.models.sender import SenderId
from accounts.models.setting import Setting
from accounts.models.token import TokenFamily
from accounts.models.usage import ApiUsageLog
from accounts.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = [
    "Account",
    "ApiKey",
    "ApiUsageLog",
    "AuditEvent",
    "DailyUse",
    "IdempotencyKey",
    "Invitation",
    "LedgerEntry",
    "Membership",
    "OwnKey",
    "Price",
    "QuietHours",
    "ReservedName",
    "SenderId",
    "Setting",
    "TokenFamily",
    "User",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
]
