"""`contact-lists` with their `contacts`, and `suppressions`."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.principal import caller_of
from accounts.choices import Scope
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE
from smsapp.api.serializers import Answer, ModelAnswer, StrictSerializer, checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import (
    AlreadyExists,
    InvalidPhoneNumber,
    InvalidState,
    NotFound,
    UploadInvalid,
    UploadNotReady,
)
from uploads import contacts, suppressions
from uploads.models import Contact, ContactList, Suppression
from uploads.numbers import read_number
from uploads.services import suppress_upload

MAX_NAME = 64  # characters of a value's name, as of a column of a file
MAX_VALUE = 2000  # characters, as of a cell of a file

NEWSLETTER = OpenApiExample("A list", {"name": "Newsletter"}, request_only=True)
UPLOAD = OpenApiExample("A ready upload", {"upload_id": "upl-k3v7q2m5x4wz6abc"}, request_only=True)
ANNA = OpenApiExample(
    "With a value", {"phone_number": "+4915112345678", "values": {"first_name": "Anna"}}, request_only=True
)
OPT_OUT = OpenApiExample("An opt-out", {"phone_number": "+4915112345678", "note": "By phone"}, request_only=True)


class ContactListRequest(StrictSerializer):
    name = serializers.CharField(max_length=120, help_text="Unique in your account, e.g. `Newsletter`.")


class ContactListSerializer(ModelAnswer[ContactList]):
    list_id = serializers.CharField(read_only=True, help_text="e.g. `lst-3f1c…`")
    name = serializers.CharField(read_only=True, help_text="Its name, one of its kind in your account.")
    contact_count = serializers.IntegerField(read_only=True, help_text="Numbers in it.")

    class Meta:
        model = ContactList
        fields = ("list_id", "name", "contact_count", "created_at", "updated_at")
        read_only_fields = fields
        extra_kwargs = {
            "created_at": {"help_text": "When it was made."},
            "updated_at": {"help_text": "When it was renamed or its contacts were counted last."},
        }


class ImportRequest(StrictSerializer):
    upload_id = serializers.CharField(max_length=40, help_text="A ready upload; all of its columns become values.")


class ImportAnswer(Answer):
    added = serializers.IntegerField(help_text="Numbers that were not in the list.")
    changed = serializers.IntegerField(help_text="Numbers that were, and have the upload's values now.")
    contact_count = serializers.IntegerField(help_text="Numbers in the list now.")


class ContactRequest(StrictSerializer):
    phone_number = serializers.CharField(
        max_length=40, help_text="In international format or that of your account's country."
    )
    values = serializers.DictField(
        child=serializers.CharField(max_length=MAX_VALUE, allow_blank=True, allow_null=True),
        required=False,
        default=dict,
        help_text='What fills `{placeholders}`, by name, e.g. `{"first_name": "Anna"}`.',
    )

    def validate_values(self, values: dict[str, str | None]) -> dict[str, str]:
        for name in values:
            if not name.strip() or len(name) > MAX_NAME or set(name) & set("{}|") or not name.isprintable():
                raise serializers.ValidationError(
                    {name: [f"A name has 1 to {MAX_NAME} visible characters, and no braces or bars."]}
                )
        return {name: value for name, value in values.items() if value is not None}


class ContactSerializer(ModelAnswer[Contact]):
    phone_number = serializers.CharField(read_only=True, help_text="E.164, with plus.")
    values = serializers.DictField(
        child=serializers.CharField(), read_only=True, help_text='By name, e.g. `{"first_name": "Anna"}`.'
    )

    class Meta:
        model = Contact
        fields = ("phone_number", "values", "created_at", "updated_at")
        read_only_fields = fields
        extra_kwargs = {
            "created_at": {"help_text": "When it came into the list."},
            "updated_at": {"help_text": "When its values were set last."},
        }


@extend_schema_view(
    list=extend_schema(operation_id="contact_lists_list", summary="List contact lists, newest first"),
    retrieve=extend_schema(operation_id="contact_lists_read", summary="Read a contact list"),
)
@extend_schema(tags=["contacts"])
class ContactListViewSet(
    AccountMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ContactList]
):
    """Lists of people to send to, the same for live and test keys."""

    read_scope = Scope.CONTACTS_READ
    write_scope = Scope.CONTACTS_WRITE
    serializer_class = ContactListSerializer
    pagination_class = NewestFirst
    parameters = {"list": PAGE}
    lookup_field = "list_id"

    def get_queryset(self) -> QuerySet[ContactList]:
        return ContactList.objects.filter(account=caller_of(self.request).account)

    @extend_schema(
        operation_id="contact_lists_create",
        summary="Make a contact list",
        request=ContactListRequest,
        examples=[NEWSLETTER],
        extensions=may_fail(AlreadyExists, InvalidState),
        responses={201: ContactListSerializer},
    )
    def create(self, request: Request) -> Response:
        """Empty at first: add contacts one by one, or those of an upload."""
        name, caller = checked(ContactListRequest, request)["name"], caller_of(request)
        made = contacts.create_list(caller.account, caller.user, name)
        return Response(ContactListSerializer(made).data, status=201)

    @extend_schema(
        operation_id="contact_lists_rename",
        summary="Rename a contact list",
        request=ContactListRequest,
        examples=[NEWSLETTER],
        extensions=may_fail(AlreadyExists),
        responses=ContactListSerializer,
    )
    def partial_update(self, request: Request, list_id: str) -> Response:
        """Its id and its contacts stay."""
        contact_list, caller = self.get_object(), caller_of(request)
        data = checked(ContactListRequest, request, partial=True)
        if "name" in data:
            contact_list = contacts.rename_list(contact_list, caller.user, data["name"])
        return Response(ContactListSerializer(contact_list).data)

    @extend_schema(
        operation_id="contact_lists_delete",
        summary="Delete a contact list",
        responses={204: None},
    )
    def destroy(self, request: Request, list_id: str) -> Response:
        """With its contacts. Campaigns made from it are not touched."""
        contacts.delete_list(self.get_object(), caller_of(request).user)
        return Response(status=204)

    @extend_schema(
        operation_id="contact_lists_import",
        summary="Add the recipients of an upload",
        request=ImportRequest,
        examples=[UPLOAD],
        extensions=may_fail(InvalidState, UploadNotReady, UploadInvalid),
        responses=ImportAnswer,
    )
    @action(detail=True, methods=["post"], url_path="import")
    def import_upload(self, request: Request, list_id: str) -> Response:
        """All of them or, on any error, none. Numbers in the list already get the upload's values."""
        contact_list, caller = self.get_object(), caller_of(request)
        upload_id = checked(ImportRequest, request)["upload_id"]
        added, changed = contacts.import_upload(contact_list, caller.user, upload_id)
        contact_list.refresh_from_db()
        return Response({"added": added, "changed": changed, "contact_count": contact_list.contact_count})


@extend_schema_view(
    list=extend_schema(operation_id="contacts_list", summary="List the contacts of a list, newest first")
)
@extend_schema(tags=["contacts"])
class ContactViewSet(AccountMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Contact]):
    """A contact is a phone number with the values that fill `{placeholders}`."""

    read_scope = Scope.CONTACTS_READ
    write_scope = Scope.CONTACTS_WRITE
    serializer_class = ContactSerializer
    lookup_field = "phone_number"
    pagination_class = NewestFirst
    parameters = {"list": PAGE}

    def get_queryset(self) -> QuerySet[Contact]:
        return Contact.objects.filter(contact_list=self._list())

    def _list(self) -> ContactList:
        return contacts.list_of(caller_of(self.request).account, self.kwargs["list_id"])

    @extend_schema(
        operation_id="contacts_put",
        summary="Add or change a contact",
        request=ContactRequest,
        examples=[ANNA],
        extensions=may_fail(InvalidPhoneNumber, InvalidState),
        responses={200: ContactSerializer, 201: ContactSerializer},
    )
    def create(self, request: Request, list_id: str) -> Response:
        """201 if the number is new in the list; else 200, and the contact has these values and no others."""
        contact_list, account = self._list(), caller_of(request).account

        def check(given: dict[str, Any]) -> None:
            if "phone_number" in given:
                read_number(account, given["phone_number"])

        form = checked(ContactRequest, request, check)
        contact, is_new = contacts.put_contact(
            contact_list, caller_of(request).user, form["phone_number"], form["values"]
        )
        return Response(ContactSerializer(contact).data, status=201 if is_new else 200)

    @extend_schema(
        operation_id="contacts_read",
        summary="Read a contact",
        responses=ContactSerializer,
    )
    def retrieve(self, request: Request, list_id: str, phone_number: str) -> Response:
        return Response(ContactSerializer(contacts.contact_of(self._list(), phone_number)).data)

    @extend_schema(
        operation_id="contacts_delete",
        summary="Take a contact out of a list",
        responses={204: None},
    )
    def destroy(self, request: Request, list_id: str, phone_number: str) -> Response:
        """Campaigns made from the list are not touched."""
        contacts.remove_contact(contacts.contact_of(self._list(), phone_number), caller_of(request).user)
        return Response(status=204)


class SuppressionRequest(StrictSerializer):
    phone_number = serializers.CharField(
        max_length=40, help_text="In international format or that of your account's country."
    )
    note = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=200, help_text="Why, for your own eyes."
    )


class SuppressionImport(StrictSerializer):
    upload_id = serializers.CharField(max_length=40, help_text="A ready upload; nobody in it is texted again.")


class SuppressionsImported(Answer):
    added = serializers.IntegerField(help_text="Numbers that were not suppressed before.")


class SuppressionSerializer(ModelAnswer[Suppression]):
    phone_hint = serializers.CharField(
        read_only=True, help_text="The last two digits: the number itself is not kept, only a keyed hash of it."
    )
    note = serializers.CharField(
        source="reason", read_only=True, allow_null=True, help_text="Why, as it was given or found out; or null."
    )

    class Meta:
        model = Suppression
        fields = ("phone_hint", "note", "created_at")
        read_only_fields = fields
        extra_kwargs = {"created_at": {"help_text": "From when on the number is not texted."}}


@extend_schema_view(list=extend_schema(operation_id="suppressions_list", summary="List opt-outs, newest first"))
@extend_schema(tags=["contacts"])
class SuppressionViewSet(AccountMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Suppression]):
    """Numbers that are never texted, whatever list or file they stand in."""

    read_scope = Scope.CONTACTS_READ
    write_scope = Scope.CONTACTS_WRITE
    serializer_class = SuppressionSerializer
    lookup_field = "phone_number"
    pagination_class = NewestFirst
    parameters = {"list": PAGE}

    def get_queryset(self) -> QuerySet[Suppression]:
        return Suppression.objects.filter(account=caller_of(self.request).account)

    @extend_schema(
        operation_id="suppressions_create",
        summary="Never text a number again",
        request=SuppressionRequest,
        examples=[OPT_OUT],
        extensions=may_fail(InvalidPhoneNumber),
        responses={200: SuppressionSerializer, 201: SuppressionSerializer},
    )
    def create(self, request: Request) -> Response:
        """Takes effect at once, in running campaigns too. 200 if the number was suppressed already."""
        caller = caller_of(request)

        def check(given: dict[str, Any]) -> None:
            if "phone_number" in given:
                read_number(caller.account, given["phone_number"])

        form = checked(SuppressionRequest, request, check)
        row, is_new = suppressions.suppress_by(caller.account, caller.user, form["phone_number"], form["note"])
        return Response(SuppressionSerializer(row).data, status=201 if is_new else 200)

    @extend_schema(
        operation_id="suppressions_import",
        summary="Never text the numbers of a file again",
        request=SuppressionImport,
        responses=SuppressionsImported,
        extensions=may_fail(NotFound, UploadInvalid, UploadNotReady),
        examples=[OpenApiExample("An upload that is ready", {"upload_id": "upl-k3v7q2m5x4wz6abc"}, request_only=True)],
    )
    @action(detail=False, methods=["post"], url_path="import")
    def import_upload(self, request: Request) -> Response:
        """Those that are suppressed already keep their reason."""
        form, caller = checked(SuppressionImport, request), caller_of(request)
        added = suppress_upload(caller.account, caller.user, form["upload_id"])
        return Response({"added": added})

    @extend_schema(
        operation_id="suppressions_read",
        summary="Is a number suppressed?",
        responses=SuppressionSerializer,
    )
    def retrieve(self, request: Request, phone_number: str) -> Response:
        """404 if it is not."""
        return Response(SuppressionSerializer(self._row(request, phone_number)).data)

    @extend_schema(operation_id="suppressions_delete", summary="Allow a number again", responses={204: None})
    def destroy(self, request: Request, phone_number: str) -> Response:
        """Only with the person's own consent: it is noted who did it."""
        caller = caller_of(request)
        suppressions.allow_by(caller.account, caller.user, self._row(request, phone_number))
        return Response(status=204)

    def _row(self, request: Request, phone_number: str) -> Suppression:
        row = suppressions.find(caller_of(request).account, phone_number)
        if row is None:
            raise NotFound(_("This number is not suppressed."), field="phone_number", value=phone_number)
        return row
