"""The console's pages on webhooks: what failed, why, and sending it again."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints
from smsapp.console.admin import ActingAdmin, confirmed_action
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState
from smsapp.lib.digits import whole_number


class FailingFilter(admin.SimpleListFilter):
    title = "success"
    parameter_name = "success"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failing", "Failing"), ("failing-day", "Failing for a day"), ("off", "Switched off")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> QuerySet[WebhookEndpoint]:
        if self.value() == "failing":
            return queryset.filter(failing_since__isnull=False)
        if self.value() == "failing-day":
            return queryset.filter(failing_since__isnull=False, told_failing_at__isnull=False, is_active=True)
        return queryset.filter(is_active=False) if self.value() == "off" else queryset


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ActingAdmin):
    """Secrets are not shown, not even encrypted."""

    list_display = ("endpoint_id", "account", "mode", "kind", "url", "is_active", "failing_since", "failure_count")
    list_filter = (FailingFilter, "kind", "mode")
    list_select_related = ("account",)
    search_help_text = "Id of the endpoint or account name, in full"
    fields = (
        "endpoint_id",
        "account",
        "mode",
        "kind",
        "url",
        "description",
        "event_types",
        "show_numbers",
        "is_active",
        "disabled_at",
        "disabled_reason",
        "failing_since",
        "failure_count",
        "slow_until",
        "told_failing_at",
        "old_secret_until",
        "created_at",
        "updated_at",
    )
    actions = ("enable", "replay_failed")

    def find(self, term: str) -> Q | None:
        return Q(endpoint_id=term) | Q(account__name=term)

    @admin.action(description="Switch the chosen endpoints on again", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset.select_related("account"),
            question="Switch these endpoints on again?",
            act=lambda endpoint: endpoints.enable(endpoint, request.user),  # type: ignore[arg-type]
            done="Enabled.",
        )

    @admin.action(description="Send again what failed in the last 30 days", permissions=["change"])
    def replay_failed(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> HttpResponse | None:
        since = clock.about_now() - timedelta(days=30)

        def act(endpoint: WebhookEndpoint) -> None:
            if not endpoints.replay_failed(endpoint, request.user, since):  # type: ignore[arg-type]
                raise InvalidState("Nothing has failed in the last 30 days.")

        return confirmed_action(
            self,
            request,
            queryset.select_related("account"),
            question="Send all failed events again?",
            act=act,
            done="Failed events replayed.",
        )


class AttemptInline(admin.TabularInline):
    """Answers are a stranger's text: shown escaped, as everything is."""

    model = WebhookAttempt
    extra = 0
    fields = ("started_at", "duration_ms", "http_status", "error", "response")
    readonly_fields = fields
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ActingAdmin):
    """The bodies may hold numbers, so they are not shown."""

    list_display = (
        "id",
        "endpoint",
        "event_type",
        "state",
        "attempt_count",
        "last_status",
        "created_at",
        "delivered_at",
    )
    list_filter = ("state",)
    list_select_related = ("endpoint",)
    search_help_text = "Number of the row, or id of the endpoint"
    fields = (
        "endpoint",
        "event_id",
        "event_type",
        "state",
        "attempt_count",
        "next_attempt_at",
        "lease_owner",
        "lease_until",
        "last_status",
        "created_at",
        "delivered_at",
    )
    inlines = (AttemptInline,)
    actions = ("replay",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).defer("body")

    def find(self, term: str) -> Q | None:
        number = whole_number(term)
        return Q(pk=number) if number is not None else Q(endpoint__endpoint_id=term)

    @admin.action(description="Send the chosen events again", permissions=["change"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset.select_related("endpoint__account"),
            question="Send these events again?",
            act=lambda delivery: endpoints.replay(delivery, request.user),  # type: ignore[arg-type]
            done="Replayed.",
        )
