"""`inbound`: what handsets wrote to the account's numbers."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets

from accounts.access.principal import caller_of
from accounts.choices import Scope
from messaging.ids import public_id
from messaging.models import InboundMessage
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE, phone, query_of
from smsapp.api.serializers import ModelAnswer
from smsapp.api.views import AccountMixin


class InboundSerializer(ModelAnswer[InboundMessage]):
    segments = serializers.IntegerField(source="segment_count", read_only=True, help_text="As the provider counts.")
    reply_to_message_id = serializers.SerializerMethodField(
        help_text="The message that it most likely answers, or null."
    )

    class Meta:
        model = InboundMessage
        fields = (
            "inbound_id",
            "phone_number",
            "recipient",
            "text",
            "keyword",
            "segments",
            "reply_to_message_id",
            "received_at",
            "created_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "inbound_id": {"help_text": "Its id, e.g. `in-3f1c…`."},
            "phone_number": {"help_text": "Who wrote, in E.164 with plus."},
            "recipient": {"help_text": "The number or short code of yours that it was sent to."},
            "text": {"help_text": "As it was written."},
            "keyword": {"help_text": "Its first word in capitals, e.g. `STOP`; or null."},
            "received_at": {"help_text": "When the provider had it."},
            "created_at": {"help_text": "When it came to us."},
        }

    def get_reply_to_message_id(self, row: InboundMessage) -> str | None:
        return public_id(row.reply_to) if row.reply_to is not None else None


@extend_schema_view(
    list=extend_schema(
        operation_id="inbound_list",
        summary="List inbound messages, newest first",
    ),
    retrieve=extend_schema(operation_id="inbound_read", summary="Read an inbound message"),
)
@extend_schema(tags=["messages"])
class InboundViewSet(AccountMixin, viewsets.ReadOnlyModelViewSet[InboundMessage]):
    """Live keys only: a test key has no numbers that a handset could answer."""

    read_scope = Scope.MESSAGES_READ
    serializer_class = InboundSerializer
    pagination_class = NewestFirst
    parameters = {"list": (phone("phone_number", "Who wrote, in any format."), *PAGE)}
    lookup_field = "inbound_id"

    def get_queryset(self) -> QuerySet[InboundMessage]:
        caller = caller_of(self.request)
        rows = InboundMessage.objects.filter(account=caller.account)
        if caller.mode != "live":
            return rows.none()
        if self.action == "list" and (number := query_of(self.request)["phone_number"]):
            return rows.filter(phone_number=number)
        return rows
