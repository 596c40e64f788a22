"""The console's pages on accounts, people, credentials and senders."""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.access import invitations, tokens
from accounts.access.api_keys import Issuer, issue_api_key, revoke_api_key
from accounts.admin.access import MembershipInline
from accounts.admin.billing import CreditPages, note_account
from accounts.choices import SCOPES_OF, Mode, Role, SenderStatus
from accounts.forms.console import AccountForm, ApiKeyForm, InvitationForm, SenderIdForm
from accounts.forms.people import ConsoleSignInForm
from accounts.models import (
    Account,
    ApiKey,
    Invitation,
    Membership,
    QuietHours,
    ReservedName,
    SenderId,
    Setting,
    TokenFamily,
)
from accounts.senders import approve_sender, reject_sender
from accounts.suspension import reinstate_account, suspend_account
from messaging.selectors import on_their_way_of, on_their_way_words
from smsapp.console.admin import ActingAdmin, ConsoleAdmin, confirmed_action

admin.site.site_header = "smsapp console"
admin.site.site_title = "smsapp console"
admin.site.index_title = "Needs attention"
admin.site.login_form = ConsoleSignInForm


@admin.register(Account)
class AccountAdmin(CreditPages):
    form = AccountForm
    change_form_template = "admin/account_page.html"
    list_display = ("name", "default_country", "is_active", "credit_left", "created_at")
    list_filter = ("is_active", "is_metered")
    search_fields = ("name",)
    search_help_text = "Part of the name"
    fields = (
        "name",
        "default_country",
        "is_active",
        "hold_reason",
        "is_metered",
        "credit_left",
        "currency",
        "low_balance_micro",
        "daily_spend_limit_micro",
        "daily_message_limit",
        "approval_above",
        "approval_above_micro",
        "rate",
        "quiet_from",
        "quiet_until",
        "allowed_countries",
        "recipient_hourly_limit",
        "recipient_daily_limit",
        "guards_numbers",
        "opt_out_reply",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("credit_left", "hold_reason", "created_at", "updated_at")
    inlines = (MembershipInline,)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        # Only what was changed here: credit moves meanwhile.
        obj.save(update_fields=[*form.changed_data, "updated_at"] if change else None)
        note_account(obj, form, request, change)
        if change and "is_active" in form.changed_data:
            if obj.is_active:
                reinstate_account(obj, request.user)  # type: ignore[arg-type]
            else:
                transaction.on_commit(partial(self._hold, request, obj))  # before the page is answered

    def _hold(self, request: HttpRequest, account: Account) -> None:
        suspend_account(account, request.user)  # type: ignore[arg-type]
        words = on_their_way_words(on_their_way_of(account))
        self.message_user(request, f"{account} is on hold. {words}", messages.WARNING)

    def find(self, term: str) -> Q | None:
        return Q(name__icontains=term)


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    list_display = ("user", "account", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "account")
    search_help_text = "User name or account name, in full"
    raw_id_fields = ("user", "account")
    readonly_fields = ("created_at",)

    def find(self, term: str) -> Q | None:
        return Q(user__username=term) | Q(account__name=term)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(Invitation)
class InvitationAdmin(ConsoleAdmin):
    """How an operator brings the first person into an account: the link is shown once."""

    list_display = ("email", "account", "role", "invited_by", "expires_at")
    list_select_related = ("account", "invited_by")
    form = InvitationForm
    fields = ("account", "email", "role")
    raw_id_fields = ("account",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        made, secret = invitations.invite_for_operator(obj.account, obj.email, Role(obj.role), request.user)  # type: ignore[arg-type]
        obj.pk = made.pk
        link = request.build_absolute_uri(reverse("invitation", args=[secret]))
        self.message_user(request, f"Give {made.email} this link, shown now and never again: {link}", messages.WARNING)


@admin.register(ApiKey)
class ApiKeyAdmin(ConsoleAdmin):
    list_display = (
        "name",
        "prefix",
        "account",
        "mode",
        "scope_count",
        "networks",
        "usable",
        "created_at",
        "expires_at",
        "last_used_at",
    )
    list_filter = ("mode", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("account",)
    search_help_text = "Prefix of the key (the part between the second and third underscore), or account name"
    fields = (
        "name",
        "account",
        "user",
        "mode",
        "prefix",
        "scopes",
        "allowed_networks",
        "rate_limit",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
        "replaced_by",
    )
    raw_id_fields = ("account", "user")
    actions = ("revoke",)

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **(kwargs if obj else kwargs | {"form": ApiKeyForm}))

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.fields if obj else ApiKeyForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.fields if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            return  # nothing of a key is edited here: its people change it through the API
        role = Role(obj.user.memberships.get(account=obj.account).role)
        issuer = Issuer(obj.account, obj.user, Mode.LIVE, SCOPES_OF[role])
        key, text = issue_api_key(issuer, obj.name, Mode(obj.mode), by=request.user)  # type: ignore[arg-type]
        obj.pk, obj.prefix = key.pk, key.prefix
        self.message_user(request, f"The key, shown now and never again: {text}", messages.WARNING)

    @admin.display(description="scopes")
    def scope_count(self, key: ApiKey) -> int:
        return len(key.scopes)

    @admin.display(empty_value="anywhere")
    def networks(self, key: ApiKey) -> str | None:
        return ", ".join(key.allowed_networks) or None

    @admin.display(boolean=True)
    def usable(self, key: ApiKey) -> bool:
        return key.is_usable

    def find(self, term: str) -> Q | None:
        return Q(prefix=term.rstrip("…")) | Q(account__name=term)

    @admin.action(description="Revoke the chosen keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset,
            question="Revoke these keys for good?",
            done="Revoked.",
            act=lambda key: revoke_api_key(key, request.user),  # type: ignore[arg-type]
        )


@admin.register(TokenFamily)
class TokenFamilyAdmin(ActingAdmin):
    list_display = ("user", "account", "created_at", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user", "account")
    search_help_text = "User name or account name, in full"
    exclude = ("password_mark", "current_jti")
    actions = ("revoke",)

    def find(self, term: str) -> Q | None:
        return Q(user__username=term) | Q(account__name=term)

    @admin.action(description="Revoke the chosen sign-ins", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset,
            question="End these sign-ins, with all their tokens?",
            act=lambda family: tokens.end(family, request.user),  # type: ignore[arg-type]
            done="Revoked.",
        )


@admin.register(SenderId)
class SenderIdAdmin(ConsoleAdmin):
    form = SenderIdForm
    list_display = ("value", "account", "kind", "status", "is_transactional", "note", "created_at", "decided_at")
    list_filter = ("status", "kind")
    list_select_related = ("account",)
    search_help_text = "Sender or account name, in full"
    raw_id_fields = ("account",)
    actions = ("approve", "reject")

    def get_fields(self, request: HttpRequest, obj: SenderId | None = None) -> Any:
        return (
            ("account", "value", "kind", "status", "is_transactional", "rate", "note", "created_at", "decided_at")
            if obj
            else ("account", "value")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: SenderId | None = None) -> Any:
        return ("account", "value", "kind", "status", "created_at", "decided_at") if obj else ()

    def find(self, term: str) -> Q | None:
        return Q(value=term) | Q(account__name=term)

    @admin.action(description="Approve the chosen senders", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[SenderId]) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset.exclude(status=SenderStatus.APPROVED),
            question="Approve these senders?",
            act=lambda sender: approve_sender(sender, request.user),  # type: ignore[arg-type]
            done="Approved.",
        )

    @admin.action(description="Reject the chosen senders", permissions=["change"])
    def reject(self, request: HttpRequest, queryset: QuerySet[SenderId]) -> HttpResponse | None:
        return confirmed_action(
            self,
            request,
            queryset.exclude(status=SenderStatus.REJECTED),
            question="Reject these senders? Their accounts can no longer use them.",
            act=lambda sender: reject_sender(sender, request.user, sender.note),  # type: ignore[arg-type]
            done="Rejected.",
        )


@admin.register(ReservedName)
class ReservedNameAdmin(ConsoleAdmin):
    """Beside those that are reserved everywhere."""

    list_display = ("name", "note")
    ordering = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(QuietHours)
class QuietHoursAdmin(ConsoleAdmin):
    list_display = ("prefix", "country", "begins", "ends", "is_enabled")
    list_filter = ("is_enabled",)
    ordering = ("prefix",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(Setting)
class SettingAdmin(ConsoleAdmin):
    list_display = ("key", "value", "description", "is_fixed", "updated_at")
    ordering = ("key",)
    fields = ("key", "value", "description", "is_fixed", "created_at", "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Setting | None = None) -> Any:
        always = ("key", "description", "is_fixed", "created_at", "updated_at")
        return ("value", *always) if obj and obj.is_fixed else always
