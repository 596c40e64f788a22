"""The console's pages on what was done and called, and which keys there are: to read only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q

from accounts.models import ApiUsageLog, AuditEvent, DailyUse, IdempotencyKey, OwnKey, WebhookAttempt
from smsapp.console.admin import ReadOnlyAdmin
from smsapp.lib.digits import whole_number


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what. `manage.py audit_check` proves that nothing was changed since."""

    list_display = ("created_at", "account", "user", "api_key_prefix", "action", "target_id", "ip_address", "is_sealed")
    list_select_related = ("account", "user")
    search_help_text = "Id of what was changed, account or user name in full"

    @admin.display(boolean=True, description="sealed")
    def is_sealed(self, event: AuditEvent) -> bool:
        return event.position is not None

    def find(self, term: str) -> Q | None:
        return Q(target_id=term) | Q(account__name=term) | Q(user__username=term)


@admin.register(ApiUsageLog)
class ApiUsageLogAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "account",
        "method",
        "endpoint",
        "status_code",
        "error_code",
        "response_time_ms",
        "ip_address",
        "api_key_prefix",
    )
    list_select_related = ("account",)
    search_help_text = "Account name, in full"

    def find(self, term: str) -> Q | None:
        return Q(account__name=term)


@admin.register(DailyUse)
class DailyUseAdmin(ReadOnlyAdmin):
    list_display = ("day", "account", "message_count")
    list_select_related = ("account",)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Answers kept for calls that may be repeated. What was answered is encrypted and not shown."""

    list_display = ("created_at", "account", "mode", "key", "status_code", "request_id")
    list_select_related = ("account",)
    exclude = ("body",)


@admin.register(OwnKey)
class OwnKeyAdmin(ReadOnlyAdmin):
    """Which keys the installation made for itself. They are encrypted and not shown."""

    list_display = ("name", "created_at")
    exclude = ("value",)


@admin.register(WebhookAttempt)
class WebhookAttemptAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "delivery", "http_status", "error", "duration_ms")
    list_select_related = ("delivery",)
    search_help_text = "Number of the delivery"

    def find(self, term: str) -> Any:
        number = whole_number(term)
        return None if number is None else Q(delivery=number)
