"""`GET /sms/reports` and `GET /sms/reports/{message_id}`."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.access.principal import caller_of
from accounts.choices import Scope
from reports.api.filters import OF_SEND, SENT_IN, send_filter
from reports.api.rows import message_rows, report_row
from reports.api.serializers import REPORTED_AS, MessageReport, ReportPage
from reports.selectors.delivery_reports import ReportFilter, find_message, page, reports_of
from smsapp.api.cursors import link_to
from smsapp.api.query_params import PAGE, choice, phone, query_of, text
from smsapp.api.views import AccountMixin


class ReportViewSet(AccountMixin, ViewSet):
    read_scope = Scope.MESSAGES_READ
    lookup_field = "message_id"
    parameters = {
        "list": (
            *OF_SEND,
            text("message_id", "Of one message."),
            phone("phone_number", "Of one number, in any format."),
            choice("status", REPORTED_AS, "What the report made of its message."),
            *SENT_IN,
            *PAGE,
        )
    }

    @extend_schema(
        operation_id="sms_reports",
        summary="Delivery reports, newest messages first",
        tags=["reports"],
        responses=ReportPage,
    )
    def list(self, request: Request) -> Response:
        """A page may hold fewer reports than `limit` and have a next one."""
        caller = caller_of(request)
        query = query_of(request)
        found = page(caller.account, caller.mode, _filter(query), query["cursor"], query["limit"])
        rows = [report_row(row) for row in found.rows]
        return Response({"results": rows, "next": link_to(request, found.next)})

    @extend_schema(
        operation_id="sms_report",
        summary="One message and its delivery reports",
        tags=["reports"],
        responses=MessageReport,
    )
    def retrieve(self, request: Request, message_id: str) -> Response:
        """As the message stands, and each report that made it so."""
        caller = caller_of(request)
        message = find_message(caller.account, caller.mode, message_id)
        (row,) = message_rows([message])
        reports = [report_row(report) for report in reports_of(message)]
        return Response({**row, "request_id": message.campaign.request_id or None, "reports": reports})


def _filter(query: Mapping[str, Any]) -> ReportFilter:
    return ReportFilter(
        send=send_filter(query),
        message_id=query["message_id"] or "",
        phone_number=query["phone_number"] or "",
        status=REPORTED_AS[query["status"]] if query["status"] else None,
    )
