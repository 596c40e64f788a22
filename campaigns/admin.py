"""The console's page on campaigns: everything to read; pause, resume and cancel as actions."""

from collections.abc import Callable

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.models import Account, User
from campaigns import services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.tally import COUNTED_STATUSES
from smsapp.console import ActingAdmin, confirmed_action


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in CampaignStatus.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> QuerySet[Campaign]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class KindFilter(admin.SimpleListFilter):
    """By the index (account, kind, -id): millions of single sends must not be read to find the bulk campaigns."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in CampaignKind.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> QuerySet[Campaign]:
        if not self.value():
            return queryset
        return queryset.filter(account__in=list(Account.objects.values_list("pk", flat=True)), kind=self.value())


@admin.register(Campaign)
class CampaignAdmin(ActingAdmin):
    list_display = (
        "__str__", "bulk_id", "account", "kind", "mode", "status", "pause_reason", "total_recipients", "delivered",
        "failed_count", "created_at",
    )  # fmt: skip
    list_filter = (StatusFilter, KindFilter)
    list_select_related = ("account",)
    search_help_text = "Bulk id (bulk-…) or account name, in full"
    actions = ("pause", "resume", "cancel")
    fieldsets = (
        (None, {"fields": ("name", "bulk_id", "account", "user", "kind", "mode", "message", "sender_id", "audience")}),
        ("State", {"fields": ("status", "pause_reason", "status_detail", "total_recipients", *COUNTED_STATUSES)}),
        ("Times", {"fields": ("created_at", "scheduled_at", "started_at", "valid_until", "completed_at", "closed_at")}),
        (
            "Inside",
            {"fields": ("chunk_count", "chunks_done", "expansion_lease_until", "callback_url", "request_id")},
        ),
    )

    def find(self, term: str) -> Q | None:
        if term.startswith("bulk-"):
            return Q(bulk_id=term)
        # The accounts first, so that the index of campaigns by account serves.
        return Q(account__in=list(Account.objects.filter(name__iexact=term).values_list("pk", flat=True)))

    @admin.action(description="Pause the chosen campaigns", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        return self._act(request, queryset, services.pause, "Pause these campaigns?", "Paused.")

    @admin.action(description="Resume the chosen campaigns", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        return self._act(request, queryset, services.resume, "Resume these campaigns?", "Resumed.")

    @admin.action(description="Cancel the chosen campaigns", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        return self._act(request, queryset, services.cancel, "Cancel these campaigns for good?", "Cancelled.")

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[Campaign],
        service: Callable[[Campaign, User], Campaign],
        question: str,
        done: str,
    ) -> HttpResponse | None:
        def act(campaign: Campaign) -> None:
            service(campaign, request.user)  # type: ignore[arg-type]

        return confirmed_action(self, request, queryset, question=question, act=act, done=done)
