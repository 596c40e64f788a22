"""`messages`: what was sent, and what became of each."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from messaging.choices import MessageStatus
from messaging.models import Message
from reports.delivery_reports import find_message
from reports.message_list import MessageFilter, message_list
from reports.selectors.timeline import TimelineEntry, message_timeline
from smsapp.api.cursors import link_to, position_of
from smsapp.api.query import (
    CREATED,
    CREATED_NAMES,
    CURSOR,
    LIMIT,
    choice_of,
    limit_of,
    moment,
    number_of,
    require_known,
)
from smsapp.api.views import AccountMixin

NAMES = ("bulk_id", "client_reference", "phone_number", "status", *CREATED_NAMES)
STATUSES = {status.public: status for status in MessageStatus}


class MessageSerializer(serializers.Serializer[Any]):
    message_id = serializers.CharField(help_text="As the send answered it.")
    bulk_id = serializers.CharField(source="campaign.bulk_id", help_text="Of its send or campaign.")
    client_reference = serializers.CharField(
        source="campaign.client_reference", allow_null=True, help_text="Your own name for the send, or null."
    )
    to = serializers.CharField(source="phone_number", help_text="E.164, with plus.")
    message = serializers.CharField(source="text", help_text="The final text.")
    sender_id = serializers.CharField(help_text="Empty: the provider chose.")
    segments = serializers.IntegerField(
        source="segment_count", help_text="Billed units; 0 until the text is filled in."
    )
    status = serializers.SerializerMethodField(help_text="What has become of it.")
    reason = serializers.CharField(help_text="Stable code; empty when nothing went wrong.")
    error_message = serializers.CharField(help_text="The reason in words.")
    row = serializers.IntegerField(help_text="Its row in the file, or place in the request, from 1.")
    created_at = serializers.DateTimeField(source="campaign.created_at", help_text="When its send was accepted.")
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When the provider took it.")
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="When the handset had it.")

    @extend_schema_field({"type": "string", "enum": list(STATUSES)})
    def get_status(self, message: Message) -> str:
        return MessageStatus(message.status).public


class Fact(serializers.Serializer[Any]):
    label = serializers.CharField(help_text="What it is, e.g. `Provider's status`.")  # type: ignore[assignment]
    value = serializers.CharField(help_text="As the provider names it.")


class TimelineStep(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="When it happened.")
    title = serializers.CharField(help_text="What happened, in words; may change.")
    detail = serializers.CharField(help_text="More of it, in words.")
    facts = serializers.SerializerMethodField(help_text="Codes, references and prices, as the provider names them.")

    @extend_schema_field(Fact(many=True))
    def get_facts(self, entry: TimelineEntry) -> list[dict[str, str]]:
        return [{"label": label, "value": value} for label, value in entry.facts]


class MessageWithTimeline(MessageSerializer):
    request_id = serializers.CharField(source="campaign.request_id", help_text="X-Request-Id of the call that sent it.")
    timeline = serializers.SerializerMethodField(help_text="Its whole story, oldest first.")

    @extend_schema_field(TimelineStep(many=True))
    def get_timeline(self, message: Message) -> list[Any]:
        return list(TimelineStep(message_timeline(message), many=True).data)


class MessagePage(serializers.Serializer[Any]):
    results = MessageSerializer(many=True, help_text="The messages of this page, newest first.")
    next = serializers.URLField(allow_null=True, help_text="Where the next page is; null at the end.")


class MessageListView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="messages_list", summary="List messages, newest first", tags=["messages"],
        parameters=[
            OpenApiParameter("bulk_id", str, description="Of one campaign or send."),
            OpenApiParameter("client_reference", str, description="Of one campaign or send, by your own name for it."),
            OpenApiParameter("phone_number", str, description="To one number, in any format."),
            OpenApiParameter("status", str, enum=list(STATUSES), description="In this status now."),
            *CREATED, CURSOR, LIMIT,
        ],
        responses=MessagePage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """A page may hold fewer messages than `limit` and have a next one."""
        caller = caller_of(request)
        require_known(request, *NAMES, "cursor", "limit")
        position = position_of(request, 1)
        below = position[0] if position else None
        found = message_list(caller.account, caller.mode, _filter(request), below, limit_of(request))
        following = None if found.next is None else link_to(request, [found.next])
        return Response({"results": MessageSerializer(found.rows, many=True).data, "next": following})


class MessageView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="messages_read", summary="One message and its whole story", tags=["messages"],
        responses=MessageWithTimeline,
    )  # fmt: skip
    def get(self, request: Request, message_id: str) -> Response:
        caller = caller_of(request)
        return Response(MessageWithTimeline(find_message(caller.account, caller.mode, message_id)).data)


def _filter(request: Request) -> MessageFilter:
    status = choice_of(request, "status", STATUSES)
    return MessageFilter(
        status=STATUSES[status] if status is not None else None,
        bulk_id=request.query_params.get("bulk_id", ""),
        client_reference=request.query_params.get("client_reference", ""),
        phone_number=number_of(request, "phone_number", caller_of(request).account) or "",
        created_after=moment(request, "created_after"),
        created_before=moment(request, "created_before"),
    )
