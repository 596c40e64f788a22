"""`GET /sms/reports` and `GET /sms/reports/{message_id}`."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from reports.api.serializers import MessageReport, ReportPage, ReportSerializer
from reports.delivery_reports import (
    ReportFilter,
    decode_cursor,
    encode_cursor,
    find_message,
    page,
)
from smsapp.api.query import require_known, whole_number
from smsapp.api.views import AccountMixin
from smsapp.exceptions import ValidationError
from smsapp.lib.phone import RefusedNumber, parse_number

MAX_PAGE = 200
FILTERS = ("bulk_id", "message_id", "phone_number")


class ReportListView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="sms_reports", summary="Delivery reports, newest messages first", tags=["reports"],
        parameters=[
            OpenApiParameter("bulk_id", str, description="Of one campaign or send."),
            OpenApiParameter("message_id", str, description="Of one message."),
            OpenApiParameter("phone_number", str, description="Of one number, in any format."),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE}; 50 if left out."),
        ],
        responses=ReportPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        caller = caller_of(request)
        require_known(request, *FILTERS, "cursor", "limit")
        wanted = _filter(request)
        limit = whole_number(request, "limit", 50, 1, MAX_PAGE)
        cursor = request.query_params.get("cursor")
        found = page(caller.account, caller.mode, wanted, decode_cursor(cursor) if cursor else None, limit)
        next_cursor = encode_cursor(found.next) if found.next else None
        return Response({"results": ReportSerializer(found.rows, many=True).data, "next_cursor": next_cursor})


class ReportView(AccountMixin, APIView):
    read_scope = Scope.MESSAGES_READ

    @extend_schema(
        operation_id="sms_report", summary="One message and its delivery reports", tags=["reports"],
        responses=MessageReport,
    )  # fmt: skip
    def get(self, request: Request, message_id: str) -> Response:
        caller = caller_of(request)
        return Response(MessageReport(find_message(caller.account, caller.mode, message_id)).data)


def _filter(request: Request) -> ReportFilter:
    values = {name: request.query_params.get(name, "") for name in FILTERS}
    if values["phone_number"]:
        try:
            values["phone_number"] = parse_number(values["phone_number"], caller_of(request).account.default_country)
        except RefusedNumber as error:
            raise ValidationError("This is not a phone number.", "phone_number", values["phone_number"]) from error
    return ReportFilter(**values)
