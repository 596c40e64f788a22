"""The console's page on campaigns: everything to read; pause, resume and cancel as actions."""

from collections.abc import Callable

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join

from accounts.billing.credit import amount_of
from accounts.models import Account, User
from campaigns import services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign, DraftPlan, MessageTemplate, RecurringCampaign
from campaigns.models.tally import COUNTED_STATUSES
from campaigns.scheduling import recurring
from messaging.preflight.counting import last_count
from messaging.preflight.receipt import BEFORE_SENDING
from messaging.selectors import on_their_way, on_their_way_words, still_to_send, still_to_send_words
from messaging.sending.resending import FAILED_STATUSES
from messaging.services import resend_failed
from smsapp.console.admin import ActingAdmin, ReadOnlyAdmin, confirmed_action


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


def _facts(campaign: Campaign) -> str:
    """What it says, to how many, and what it costs."""
    forecast = last_count(campaign) if campaign.status in BEFORE_SENDING else None
    price = amount_of(forecast.price_micro if forecast else campaign.reserved_micro)
    cost = f"{price:,.2f} {campaign.account.currency}" if campaign.account.is_metered else "no charge"
    many = f"{campaign.total_recipients:,} recipients, {still_to_send(campaign):,} still to send"
    return f"“{campaign.message}”\n{many} · {cost} · account {campaign.account.name}"


@admin.register(Campaign)
class CampaignAdmin(ActingAdmin):
    list_display = (
        "__str__",
        "bulk_id",
        "account",
        "kind",
        "mode",
        "status",
        "pause_reason",
        "total_recipients",
        "delivered",
        "failed_count",
        "created_at",
    )
    list_filter = (StatusFilter, KindFilter)
    list_select_related = ("account",)
    search_help_text = "Bulk id (bulk-…) or account name, in full"
    actions = ("approve", "pause", "resume", "cancel", "resend")
    fieldsets = (
        (None, {"fields": ("name", "bulk_id", "account", "user", "kind", "mode", "message", "sender_id", "audience")}),
        ("State", {"fields": ("status", "pause_reason", "status_detail", "total_recipients", *COUNTED_STATUSES)}),
        ("Times", {"fields": ("created_at", "scheduled_at", "started_at", "valid_until", "completed_at", "closed_at")}),
        (
            "Inside",
            {"fields": ("chunk_count", "chunks_done", "expansion_lease_until", "callback_url", "request_id")},
        ),
        (
            "Release",
            {
                "fields": (
                    "quiet_from",
                    "quiet_until",
                    "canary_size",
                    "canary_wait",
                    "canary_floor",
                    "canary_state",
                    "canary_due_at",
                    "recurring",
                    "due_at",
                )
            },
        ),
        ("Sent again", {"fields": ("resend_of", "resend_statuses", "resent_by")}),
    )

    def find(self, term: str) -> Q | None:
        if term.startswith("bulk-"):
            return Q(bulk_id=term)
        # The accounts first, so that the index of campaigns by account serves.
        return Q(account__in=list(Account.objects.filter(name__iexact=term).values_list("pk", flat=True)))

    @admin.action(description="Approve the chosen campaigns", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        question = "Approve these campaigns as they are, in place of a second person of the account?"
        return self._act(request, queryset, services.approve, question, "Approved.")[0]

    @admin.action(description="Pause the chosen campaigns", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        return self._stop(request, queryset, services.pause, "Pause these campaigns?", "Paused.")

    @admin.action(description="Resume the chosen campaigns", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        answer, resumed = self._act(request, queryset, services.resume, "Resume these campaigns?", "Resumed.")
        if resumed:
            self.message_user(request, still_to_send_words(sum(map(still_to_send, resumed))))
        return answer

    @admin.action(description="Cancel the chosen campaigns", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        return self._stop(request, queryset, services.cancel, "Cancel these campaigns for good?", "Cancelled.")

    @admin.action(description="Send the failed messages of the chosen campaigns again", permissions=["change"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> HttpResponse | None:
        count = sum(campaign.tally[status.label] for campaign in queryset for status in FAILED_STATUSES)
        question = f"Send the {count:,} failed messages of these campaigns again, as new campaigns?"
        return self._act(request, queryset, resend_failed, question, "Sent again.")[0]

    @admin.display(description="Sent again by")
    def resent_by(self, campaign: Campaign) -> str:
        links = (
            (reverse("admin:campaigns_campaign_change", args=[resend.pk]), resend) for resend in campaign.resends.all()
        )
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "—"

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "resent_by"]

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[Campaign],
        service: Callable[[Campaign, User], Campaign],
        question: str,
        done: str,
    ) -> tuple[HttpResponse | None, list[Campaign]]:
        """The answer, and what the service returned for each campaign that it did not refuse."""
        moved: list[Campaign] = []

        def act(campaign: Campaign) -> None:
            moved.append(service(campaign, request.user))  # type: ignore[arg-type]

        rows = queryset.select_related("account")
        return confirmed_action(self, request, rows, question=question, act=act, done=done, facts=_facts), moved

    def _stop(
        self,
        request: HttpRequest,
        queryset: QuerySet[Campaign],
        service: Callable[[Campaign, User], Campaign],
        question: str,
        done: str,
    ) -> HttpResponse | None:
        """Says also how many messages could not be stopped."""
        answer, stopped = self._act(request, queryset, service, question, done)
        if stopped:
            self.message_user(request, on_their_way_words(sum(map(on_their_way, stopped))))
        return answer


@admin.register(DraftPlan)
class DraftPlanAdmin(ReadOnlyAdmin):
    list_display = ("campaign", "contact_list", "rule")
    list_select_related = ("campaign", "contact_list")
    search_help_text = "Bulk id of the draft"

    def find(self, term: str) -> Q | None:
        return Q(campaign__bulk_id=term)


@admin.register(RecurringCampaign)
class RecurringCampaignAdmin(ActingAdmin):
    list_display = (
        "__str__",
        "recurring_id",
        "account",
        "status",
        "next_run_at",
        "last_run_at",
        "run_count",
        "failure_count",
        "detail",
    )
    list_filter = ("status",)
    list_select_related = ("account",)
    search_help_text = "Its id (`rec-…`) or account name, in full"
    actions = ("pause", "resume")

    def find(self, term: str) -> Q | None:
        return Q(recurring_id=term) | Q(account__name=term)

    @admin.action(description="Pause the chosen recurring campaigns", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[RecurringCampaign]) -> HttpResponse | None:
        return self._act(request, queryset, recurring.pause, "Pause these recurring campaigns?", "Paused.")

    @admin.action(description="Resume the chosen recurring campaigns", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[RecurringCampaign]) -> HttpResponse | None:
        return self._act(request, queryset, recurring.resume, "Resume them from their next moment on?", "Resumed.")

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[RecurringCampaign],
        service: Callable[[RecurringCampaign, User], RecurringCampaign],
        question: str,
        done: str,
    ) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset,
            question=question,
            done=done,
            act=lambda row: service(row, request.user),  # type: ignore[arg-type]
        )


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ReadOnlyAdmin):
    list_display = ("name", "account", "user", "updated_at")
    list_select_related = ("account", "user")
    search_help_text = "Template id (`tpl-…`) or account name, in full"

    def find(self, term: str) -> Q | None:
        return Q(template_id=term) | Q(account__name=term)
