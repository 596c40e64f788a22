"""`GET /sms/reports` and `GET /sms/reports/{message_id}`."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from reports.api.rows import message_rows, report_row
from reports.api.serializers import STATUSES, MessageReport, ReportPage
from reports.delivery_reports import ReportFilter, find_message, page, reports_of
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

NAMES = ("bulk_id", "client_reference", "message_id", "phone_number", "status", *CREATED_NAMES)


class ReportListView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="sms_reports", summary="Delivery reports, newest messages first", tags=["reports"],
        parameters=[
            OpenApiParameter("bulk_id", str, description="Of one campaign or send."),
            OpenApiParameter("client_reference", str, description="Of one campaign or send, by your own name for it."),
            OpenApiParameter("message_id", str, description="Of one message."),
            OpenApiParameter("phone_number", str, description="Of one number, in any format."),
            OpenApiParameter("status", str, enum=list(STATUSES), description="What the report made of its message."),
            *CREATED, CURSOR, LIMIT,
        ],
        responses=ReportPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """`created_after` and `created_before` are about when a message was accepted. A page may hold fewer reports
        than `limit` and have a next one."""
        caller = caller_of(request)
        require_known(request, *NAMES, "cursor", "limit")
        before = position_of(request, 2)
        found = page(caller.account, caller.mode, _filter(request), before, limit_of(request))  # type: ignore[arg-type]
        rows = [report_row(row) for row in found.rows]
        return Response({"results": rows, "next": link_to(request, found.next)})


class ReportView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="sms_report", summary="One message and its delivery reports", tags=["reports"],
        responses=MessageReport,
    )  # fmt: skip
    def get(self, request: Request, message_id: str) -> Response:
        """As the message stands, and each report that made it so."""
        caller = caller_of(request)
        message = find_message(caller.account, caller.mode, message_id)
        (row,) = message_rows([message])
        reports = [report_row(report) for report in reports_of(message)]
        return Response({**row, "request_id": message.campaign.request_id or None, "reports": reports})


def _filter(request: Request) -> ReportFilter:
    status = choice_of(request, "status", STATUSES)
    return ReportFilter(
        bulk_id=request.query_params.get("bulk_id", ""),
        client_reference=request.query_params.get("client_reference", ""),
        message_id=request.query_params.get("message_id", ""),
        phone_number=number_of(request, "phone_number", caller_of(request).account) or "",
        status=STATUSES[status] if status is not None else None,
        created_after=moment(request, "created_after"),
        created_before=moment(request, "created_before"),
    )
