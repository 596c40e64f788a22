"""The console's pages on gateways, routes and how well they do."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from accounts.security import audit
from messaging.forms.gateways import SECRET_FIELDS, GatewayForm, TrialForm
from messaging.forms.routes import RouteForm
from messaging.gateways import registry
from messaging.gateways.probe import Trial, send_trial
from messaging.ids import parse_public_id, public_id
from messaging.models import Gateway, ProviderReference, Route, RouteHealth
from messaging.outcomes.report_inbox import report_url
from messaging.routing import preference, throttle
from messaging.routing.coverage import Reach, reaches, warning_of
from smsapp.console.admin import ConsoleAdmin, ReadOnlyAdmin
from smsapp.core.exceptions import SmsappError


@admin.register(Gateway)
class GatewayAdmin(ConsoleAdmin):
    """Credentials are written here and never shown again."""

    form = GatewayForm
    change_form_template = "admin/gateway_page.html"
    list_display = ("name", "kind", "is_enabled", "is_preferred", "state", "tested_at", "rate", "updated_at")
    list_filter = ("kind", "is_enabled")
    readonly_fields = ("state", "tested_at", "is_preferred", "addresses")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "kind",
                    "base_url",
                    "is_enabled",
                    "may_stop",
                    "state",
                    "tested_at",
                    "is_preferred",
                    "addresses",
                )
            },
        ),
        ("Limits", {"fields": ("rate", "max_batch", "validity")}),
        ("Credentials", {"fields": SECRET_FIELDS}),
        ("Custom HTTP gateway", {"fields": ("rules",)}),
    )
    ordering = ("name",)

    @admin.display(description="state")
    def state(self, row: Gateway) -> str:
        if row.pk is None or row.name not in registry.known():
            return "not in use" if row.pk is None else "cannot be used: its set-up is not complete"
        if not row.is_enabled:
            return "off" if row.tested_at else "off: send a test, then switch it on"
        return "down: calls have failed, one at a time tries it" if throttle.is_down(row.name) else "up"

    @admin.display(description="addresses for the provider")
    def addresses(self, row: Gateway) -> str:
        url = report_url(row.name) if row.pk else ""
        if not url:
            return "Delivery reports need PUBLIC_URL to be set."
        return format_html("Delivery reports: {}<br>Messages from handsets: {}/inbound", url, url)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.may_be_inside = request.user.is_superuser
        return form

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<int:pk>/try/", self.admin_site.admin_view(self.send_test), name="messaging_gateway_try"),
            path("<int:pk>/prefer/", self.admin_site.admin_view(self.prefer), name="messaging_gateway_prefer"),
        ]
        return [*own, *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Gateway, form: Any, change: bool) -> None:
        was_on = bool(form.initial.get("is_enabled")) if change else obj.name in registry.names()
        super().save_model(request, obj, form, change)
        if was_on == obj.is_enabled:
            return
        by: Any = request.user
        action = "gateway.switched_on" if obj.is_enabled else "gateway.switched_off"
        audit.record(action, account=None, by=by, target_type="gateway", target_id=obj.name)
        if obj.is_enabled and not (obj.is_preferred or obj.routes.filter(is_enabled=True).exists()):
            words = "It is on, and nothing goes to it yet: add a route, or make it the preferred gateway."
            self.message_user(request, words, messages.WARNING)

    def prefer(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say what it changes, then make it the preferred gateway, or make it so no longer."""
        row = self.get_object(request, str(pk))
        if row is None or not self.has_change_permission(request, row):
            raise PermissionDenied
        back = reverse("admin:messaging_gateway_change", args=[pk])
        if request.method == "POST":
            act = preference.prefer_no_more if row.is_preferred else preference.prefer
            try:
                act(row, request.user)  # type: ignore[arg-type]
            except SmsappError as error:
                self.message_user(request, error.message, messages.ERROR)
            else:
                now = registry.preferred()
                self.message_user(request, f"The preferred gateway is now {now}." if now else "None is preferred now.")
            return HttpResponseRedirect(back)
        verb = "Prefer {} no longer" if row.is_preferred else "Make {} the preferred gateway"
        context = self.admin_site.each_context(request) | {
            "title": verb.format(row.name),
            "opts": self.opts,
            "row": row,
            "change": preference.change(),
            "usual": registry.of_environment(),
            "back": back,
        }
        return TemplateResponse(request, "admin/gateway_prefer.html", context)

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.get_object(request, str(pk))
        if row is None or not self.has_change_permission(request, row):
            raise PermissionDenied
        form = TrialForm(request.POST or None)
        trial: Trial | None = None
        if form.is_valid():
            data = form.cleaned_data
            trial = send_trial(row, data["phone_number"], data["text"], data["sender"], request.user)  # type: ignore[arg-type]
        context = self.admin_site.each_context(request) | {
            "title": f"Send a test by {row.name}",
            "form": form,
            "opts": self.opts,
            "trial": trial,
            "is_enabled": row.is_enabled,
            "back": reverse("admin:messaging_gateway_change", args=[pk]),
        }
        return TemplateResponse(request, "admin/gateway_trial.html", context)


@admin.register(Route)
class RouteAdmin(ConsoleAdmin):
    form = RouteForm
    list_display = ("prefix_shown", "gateway", "account", "sender_id", "priority", "weight", "is_enabled", "note")
    list_filter = ("gateway", "is_enabled", ("account", admin.EmptyFieldListFilter))
    list_select_related = ("gateway", "account")
    raw_id_fields = ("account",)
    search_help_text = "Prefix, sender, or account name in full"
    ordering = ("prefix", "priority")

    @admin.display(description="numbers", ordering="prefix")
    def prefix_shown(self, route: Route) -> str:
        return f"+{route.prefix}" if route.prefix else "every number"

    def find(self, term: str) -> Q | None:
        return Q(prefix=term.removeprefix("+")) | Q(sender_id=term) | Q(account__name=term)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: Route) -> None:
        before = reaches()
        super().delete_model(request, obj)
        self._warn_left_out(request, before)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> None:
        before = reaches()
        super().delete_queryset(request, queryset)
        self._warn_left_out(request, before)

    def _warn_left_out(self, request: HttpRequest, before: list[Reach]) -> None:
        if warning := warning_of(before, reaches()):
            self.message_user(request, warning, messages.WARNING)


@admin.register(ProviderReference)
class ProviderReferenceAdmin(ReadOnlyAdmin):
    list_display = ("reference", "gateway", "message_public_id", "created_at")
    search_help_text = "The provider's id, or ours, in full"

    @admin.display(description="message")
    def message_public_id(self, row: ProviderReference) -> str:
        return public_id(row.message_id)

    def find(self, term: str) -> Q | None:
        message_pk = parse_public_id(term.lower())
        return Q(reference=term) if message_pk is None else Q(message=message_pk)


@admin.register(RouteHealth)
class RouteHealthAdmin(ReadOnlyAdmin):
    list_display = (
        "gateway",
        "prefix",
        "share",
        "detail",
        "sent",
        "delivered",
        "undelivered",
        "silent",
        "failed_calls",
        "measured_at",
    )
    list_filter = ("gateway",)
    ordering = ("gateway", "prefix")
