"""`messages`: what was sent, and what became of each."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from reports.api.rows import message_rows
from reports.api.serializers import STATUSES, MessagePage, MessageWithTimeline
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
        return Response({"results": message_rows(found.rows), "next": following})


class MessageView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="messages_read", summary="One message and its whole story", tags=["messages"],
        responses=MessageWithTimeline,
    )  # fmt: skip
    def get(self, request: Request, message_id: str) -> Response:
        """With its timeline: from the row of a file to the last report."""
        caller = caller_of(request)
        message = find_message(caller.account, caller.mode, message_id)
        (row,) = message_rows([message])
        timeline = [_step(entry) for entry in message_timeline(message)]
        return Response({**row, "request_id": message.campaign.request_id or None, "timeline": timeline})


def _step(entry: TimelineEntry) -> dict[str, object]:
    facts = [{"label": label, "value": value} for label, value in entry.facts]
    return {"occurred_at": entry.at, "title": entry.title, "detail": entry.detail or None, "facts": facts}


def _filter(request: Request) -> MessageFilter:
    status = choice_of(request, "status", STATUSES)
    return MessageFilter(
        statuses=() if status is None else (STATUSES[status],),
        bulk_id=request.query_params.get("bulk_id", ""),
        client_reference=request.query_params.get("client_reference", ""),
        phone_number=number_of(request, "phone_number", caller_of(request).account) or "",
        created_after=moment(request, "created_after"),
        created_before=moment(request, "created_before"),
    )
