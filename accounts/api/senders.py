"""`/senders`: what the handset may show."""

from django.db.models import QuerySet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access.principal import caller_of
from accounts.choices import Scope
from accounts.models import SenderId
from accounts.senders import request_sender, sender_kind, sender_named, withdraw_sender
from smsapp.api import statuses
from smsapp.api.fields import StatusField
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE
from smsapp.api.serializers import ModelAnswer, StrictSerializer, checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import InvalidState


@extend_schema_field(
    {
        "type": "string",
        "pattern": r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11})$",
        "maxLength": 16,
        "example": "YourBrand",
    }
)
class SenderField(serializers.CharField):
    """Read by `sender_kind`."""


class SenderRequest(StrictSerializer):
    sender_id = SenderField(
        max_length=16,
        help_text="1–11 letters, digits and spaces with a letter among them, e.g. `YourBrand`; a number such as "
        "`+4915112345678`; or a short code of 3–8 digits.",
    )


class SenderSerializer(ModelAnswer[SenderId]):
    sender_id = serializers.CharField(source="value", help_text="What the handset shows, e.g. `YourBrand`.")
    status = StatusField(statuses.SENDER, help_text="Only an APPROVED sender can be used.")

    class Meta:
        model = SenderId
        fields = ("sender_id", "kind", "status", "note", "created_at", "decided_at")
        read_only_fields = fields
        extra_kwargs = {
            "kind": {"help_text": "Follows from `sender_id`."},
            "note": {"help_text": "What the operator says of the decision, or null."},
            "created_at": {"help_text": "When it was asked for."},
            "decided_at": {"help_text": "When an operator decided; null: not yet."},
        }


@extend_schema_view(
    list=extend_schema(operation_id="senders_list", summary="List senders, newest first", tags=["senders"]),
    retrieve=extend_schema(operation_id="senders_read", summary="Read a sender", tags=["senders"]),
)
class SenderViewSet(AccountMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet[SenderId]):
    """Names, numbers and short codes that the account has asked for."""

    read_scope = Scope.ACCOUNT_READ
    write_scope = Scope.ACCOUNT_WRITE
    serializer_class = SenderSerializer
    lookup_field = "sender_id"
    pagination_class = NewestFirst
    parameters = {"list": PAGE}

    def get_queryset(self) -> QuerySet[SenderId]:
        return SenderId.objects.filter(account=caller_of(self.request).account)

    def get_object(self) -> SenderId:
        return sender_named(caller_of(self.request).account, self.kwargs["sender_id"])

    @extend_schema(
        operation_id="senders_request",
        summary="Ask for a sender",
        tags=["senders"],
        request=SenderRequest,
        examples=[OpenApiExample("A name", {"sender_id": "YourBrand"}, request_only=True)],
        extensions=may_fail(InvalidState),
        responses={
            201: OpenApiResponse(SenderSerializer, "It waits for an operator's approval."),
            200: OpenApiResponse(SenderSerializer, "It was asked for before."),
        },
    )
    def create(self, request: Request) -> Response:
        """An operator approves or rejects it; asking twice is the same as asking once."""
        caller, value = caller_of(request), checked(SenderRequest, request, _check)["sender_id"]
        sender, is_new = request_sender(caller.account, value, caller.user)
        return Response(SenderSerializer(sender).data, status=201 if is_new else 200)

    @extend_schema(
        operation_id="senders_withdraw",
        summary="Take back a request",
        tags=["senders"],
        extensions=may_fail(InvalidState),
        responses={200: SenderSerializer},
    )
    def destroy(self, request: Request, sender_id: str) -> Response:
        """While nobody has decided on it."""
        caller, sender = caller_of(request), self.get_object()
        return Response(SenderSerializer(withdraw_sender(caller.account, sender.pk, caller.user)).data)


def _check(given: dict[str, str]) -> None:
    if "sender_id" in given:
        sender_kind(given["sender_id"])
