"""The console's pages on the pipeline: all read-only, every filter and search on an index."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from accounts.models import Account
from messaging.choices import AttemptState, BatchState
from messaging.ids import batch_of, parse_public_id, public_id
from messaging.models import Attempt, Batch, DeliveryReport, InboundMessage, Message, RefusalRow, ReportInbox
from messaging.sending import unrouted
from smsapp.console.admin import ReadOnlyAdmin
from smsapp.lib.digits import whole_number
from smsapp.lib.phone import RefusedNumber, parse_number

MESSAGE_SEARCH_HELP = "Message id, or a phone number in full"


def _phones(term: str) -> list[str]:
    """Numbers as they are stored, from any spelling of one: an international one, or that of an account's country."""
    found = set()
    for country in ("ZZ", *Account.objects.order_by().values_list("default_country", flat=True).distinct()):
        try:
            found.add(parse_number(term, country))
        except RefusedNumber:
            continue
    return sorted(found)


def _batch_link(batch_id: int) -> str:
    return format_html('<a href="{}">{}</a>', reverse("admin:messaging_batch_change", args=[batch_id]), batch_id)


class StateFilter(admin.SimpleListFilter):
    """The states that partial indexes serve; the rest are done."""

    title = "state"
    parameter_name = "state"
    states: tuple[Any, ...] = ()

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(str(state), str(state.label)) for state in self.states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() in self.states else queryset


class BatchStateFilter(StateFilter):
    states = (BatchState.DEFERRED, BatchState.READY, BatchState.LEASED, BatchState.UNKNOWN)

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [*super().lookups(request, model_admin), ("unrouted", "Waits for a route")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "unrouted":
            return queryset.filter(pk__in=unrouted.waiting().values("pk"))
        return super().queryset(request, queryset)


class AttemptStateFilter(StateFilter):
    states = (AttemptState.OPEN, AttemptState.UNKNOWN)


class AppliedFilter(admin.SimpleListFilter):
    title = "applied"
    parameter_name = "applied"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("waiting", "Waiting"), ("failing", "Failing"), ("unmatched", "Without a message")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ReportInbox]) -> QuerySet[ReportInbox]:
        if self.value() == "waiting":
            return queryset.filter(applied_at=None)
        if self.value() == "failing":
            return queryset.filter(applied_at=None, failure_count__gt=0)
        if self.value() == "unmatched":
            return queryset.filter(rematch_at__isnull=False)
        return queryset


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "account",
        "campaign",
        "state",
        "gateway",
        "prefix",
        "size",
        "queued",
        "sent",
        "delivered",
        "unknown",
        "retry_count",
        "lease_owner",
        "lease_until",
        "next_attempt_at",
    )
    list_filter = (BatchStateFilter,)
    list_select_related = ("account", "campaign")
    search_help_text = "Number of the batch, or bulk id of its campaign"

    def find(self, term: str) -> Q | None:
        number = whole_number(term)
        return Q(campaign__bulk_id=term) if number is None else Q(pk=number)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("message_id", "phone_number", "status", "reason", "detail", "segment_count", "sent_at", "done_at")
    list_display_links = ("message_id",)
    search_help_text = MESSAGE_SEARCH_HELP
    fields = (
        "message_id",
        "campaign",
        "batch",
        "row",
        "phone_number",
        "sender_id",
        "text",
        "variables",
        "status",
        "error_message",
        "segment_count",
        "sent_at",
        "done_at",
    )
    readonly_fields = ("message_id", "batch", "sender_id", "text", "error_message")

    @admin.display(description="batch")
    def batch(self, message: Message) -> str:
        return _batch_link(message.batch_id)

    def find(self, term: str) -> Q | None:
        message_pk = parse_public_id(term.lower())
        if message_pk is not None:
            return Q(pk=message_pk)
        phones = _phones(term)
        return Q(phone_number__in=phones) if phones else None


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = (
        "reference",
        "batch_number",
        "gateway",
        "state",
        "message_count",
        "http_status",
        "detail",
        "started_at",
        "finished_at",
        "lookup_count",
    )
    list_filter = (AttemptStateFilter,)
    search_help_text = "Reference of the call, number of its batch, or id of a message in it"

    @admin.display(description="batch")
    def batch_number(self, attempt: Attempt) -> str:
        return _batch_link(attempt.batch_id)

    def find(self, term: str) -> Q | None:
        batch = whole_number(term)
        if batch is not None:
            return Q(batch=batch)
        message_pk = parse_public_id(term.lower())
        if message_pk is not None:
            return Q(batch=batch_of(message_pk), first__lte=message_pk, last__gte=message_pk)
        return Q(reference=term)


@admin.register(RefusalRow)
class RefusalRowAdmin(ReadOnlyAdmin):
    list_display = ("campaign", "gateway", "count", "why")
    list_select_related = ("campaign",)


@admin.register(DeliveryReport)
class DeliveryReportAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "message_link",
        "status",
        "reason",
        "source",
        "provider_status",
        "error_code",
        "price",
        "currency",
        "received_at",
    )
    search_help_text = MESSAGE_SEARCH_HELP
    fields = (
        "message_link",
        "status",
        "reason",
        "source",
        "provider_status",
        "error_code",
        "error_description",
        "price",
        "currency",
        "done_at",
        "received_at",
    )
    readonly_fields = ("message_link",)

    @admin.display(description="message")
    def message_link(self, report: DeliveryReport) -> str:
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:messaging_message_change", args=[report.message_id]),
            public_id(report.message_id),
        )

    def find(self, term: str) -> Q | None:
        message_pk = parse_public_id(term.lower())
        if message_pk is not None:
            return Q(message=message_pk)
        phones = _phones(term)
        return Q(message__phone_number__in=phones) if phones else None


@admin.register(ReportInbox)
class ReportInboxAdmin(ReadOnlyAdmin):
    """The bodies hold numbers, so they are not shown."""

    list_display = (
        "id",
        "gateway",
        "source",
        "received_at",
        "applied_at",
        "report_count",
        "unmatched_count",
        "failure_count",
        "error",
    )
    list_filter = (AppliedFilter,)
    fields = (
        "gateway",
        "source",
        "received_at",
        "applied_at",
        "report_count",
        "unmatched_count",
        "failure_count",
        "next_attempt_at",
        "rematch_at",
        "error",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReportInbox]:
        return super().get_queryset(request).defer("body")


@admin.register(InboundMessage)
class InboundMessageAdmin(ReadOnlyAdmin):
    """What handsets wrote. Without an account: nobody could say whose it is."""

    list_display = ("received_at", "account", "phone_number", "recipient", "keyword", "gateway")
    list_filter = (("account", admin.EmptyFieldListFilter),)
    list_select_related = ("account",)
    search_help_text = "Inbound id (`in-…`), in full"

    def find(self, term: str) -> Q | None:
        return Q(inbound_id=term)
