"""`messages`: what was sent, and what became of each."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.access.principal import caller_of
from accounts.choices import Scope
from reports.api.filters import OF_SEND, SENT_IN, send_filter
from reports.api.rows import message_rows
from reports.api.serializers import STATUSES, MessagePage, MessageWithTimeline
from reports.selectors.delivery_reports import find_message
from reports.selectors.message_search import MessageFilter, message_list
from reports.selectors.timeline import TimelineEntry, message_timeline
from smsapp.api.cursors import link_to
from smsapp.api.query_params import PAGE, choice, phone, query_of
from smsapp.api.views import AccountMixin


class MessageViewSet(AccountMixin, ViewSet):
    read_scope = Scope.MESSAGES_READ
    lookup_field = "message_id"
    parameters = {
        "list": (
            *OF_SEND,
            phone("phone_number", "To one number, in any format."),
            choice("status", STATUSES, "In this status now."),
            *SENT_IN,
            *PAGE,
        )
    }

    @extend_schema(
        operation_id="messages_list", summary="List messages, newest first", tags=["messages"], responses=MessagePage
    )
    def list(self, request: Request) -> Response:
        """A page may hold fewer messages than `limit` and have a next one."""
        caller = caller_of(request)
        query = query_of(request)
        below = query["cursor"][0] if query["cursor"] else None
        found = message_list(caller.account, caller.mode, _filter(query), below, query["limit"])
        following = None if found.next is None else link_to(request, [found.next])
        return Response({"results": message_rows(found.rows), "next": following})

    @extend_schema(
        operation_id="messages_read",
        summary="One message and its whole story",
        tags=["messages"],
        responses=MessageWithTimeline,
    )
    def retrieve(self, request: Request, message_id: str) -> Response:
        """With its timeline: from the row of a file to the last report."""
        caller = caller_of(request)
        message = find_message(caller.account, caller.mode, message_id)
        (row,) = message_rows([message])
        timeline = [_step(entry) for entry in message_timeline(message)]
        return Response({**row, "request_id": message.campaign.request_id or None, "timeline": timeline})


def _step(entry: TimelineEntry) -> dict[str, object]:
    facts = [{"label": label, "value": value} for label, value in entry.facts]
    return {"occurred_at": entry.at, "title": entry.title, "detail": entry.detail or None, "facts": facts}


def _filter(query: Mapping[str, Any]) -> MessageFilter:
    return MessageFilter(
        send=send_filter(query),
        statuses=(STATUSES[query["status"]],) if query["status"] else (),
        phone_number=query["phone_number"] or "",
    )
