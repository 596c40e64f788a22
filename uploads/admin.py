"""The console's pages on files, audiences and suppressions. Contents of files are not shown."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from accounts.models import User
from smsapp.console.admin import ConsoleAdmin, ReadOnlyAdmin
from smsapp.lib.digits import whole_number
from uploads.forms.suppression import SuppressionForm
from uploads.models import Audience, AudienceChunk, Contact, ContactList, OptOutEvent, Suppression, Upload
from uploads.suppressions import allow_by, suppress


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = (
        "original_filename",
        "account",
        "status",
        "failure_reason",
        "row_count",
        "phone_count",
        "invalid_count",
        "duplicate_count",
        "uploaded_at",
    )
    list_filter = ("status",)
    list_select_related = ("account",)
    search_help_text = "Upload id (upl-…) or account name"

    def find(self, term: str) -> Q | None:
        return Q(upload_id=term) | Q(account__name=term)


@admin.register(Audience)
class AudienceAdmin(ReadOnlyAdmin):
    list_display = ("id", "account", "source", "recipient_count", "chunk_count", "created_at")
    list_select_related = ("account",)
    search_help_text = "Number of the audience"

    def find(self, term: str) -> Q | None:
        number = whole_number(term)
        return None if number is None else Q(pk=number)


@admin.register(AudienceChunk)
class AudienceChunkAdmin(ReadOnlyAdmin):
    list_display = ("id", "audience_number", "number", "good_count", "bad_count", "last_row")
    search_help_text = "Number of the audience"
    fields = ("audience", "number", "good_count", "bad_count", "last_row", "checksum")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AudienceChunk]:
        return super().get_queryset(request).defer("body", "refused")

    @admin.display(description="audience")
    def audience_number(self, chunk: AudienceChunk) -> int:
        return chunk.audience_id

    def find(self, term: str) -> Q | None:
        number = whole_number(term)
        return None if number is None else Q(audience=number)


@admin.register(Suppression)
class SuppressionAdmin(ConsoleAdmin):
    """A number is added in full and stored as a hash: only its last two digits can be shown again."""

    form = SuppressionForm
    list_display = ("__str__", "account", "reason", "created_at")
    list_select_related = ("account",)
    search_help_text = "Account name"
    raw_id_fields = ("account",)

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        return ("account", "phone_hint", "reason", "created_at") if obj else ("account", "phone_number", "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        return ("account", "phone_hint", "created_at") if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change=change, **kwargs)

    def find(self, term: str) -> Q | None:
        return Q(account__name=term)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["reason"])
            return
        suppress(obj.account, form.cleaned_data["phone_number"], obj.reason, by=cast(User, request.user))
        stored = Suppression.objects.get(account=obj.account, phone_hash=obj.phone_hash)
        obj.pk = stored.pk

    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        allow_by(obj.account, cast(User, request.user), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        for row in queryset.select_related("account"):
            self.delete_model(request, row)


@admin.register(ContactList)
class ContactListAdmin(ReadOnlyAdmin):
    list_display = ("name", "account", "contact_count", "created_at", "updated_at")
    list_select_related = ("account",)
    search_help_text = "List id (`lst-…`) or account name, in full"

    def find(self, term: str) -> Q | None:
        return Q(list_id=term) | Q(account__name=term)


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ("phone_number", "contact_list", "created_at", "updated_at")
    list_select_related = ("contact_list",)
    search_help_text = "List id (`lst-…`), in full"

    def find(self, term: str) -> Q | None:
        return Q(contact_list__list_id=term)


@admin.register(OptOutEvent)
class OptOutEventAdmin(ReadOnlyAdmin):
    """Who left or came back, when and how."""

    list_display = ("created_at", "account", "phone_hint", "is_out", "source", "detail", "user")
    list_filter = ("source",)
    list_select_related = ("account", "user")
    search_help_text = "Account name, in full"

    def find(self, term: str) -> Q | None:
        return Q(account__name=term)
