"""`GET /account/usage`, what was sent by day, and `GET /account/requests`, the request log."""

from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from accounts.models import ApiUsageLog, DailyUse
from campaigns.tally import COUNTED_STATUSES
from reports.selectors.daily import Figures, daily
from smsapp import clock
from smsapp.api.pagination import NewestFirst
from smsapp.api.query import require_known, whole_number
from smsapp.api.views import AccountMixin
from smsapp.exceptions import ValidationError

DEFAULT_DAYS = 30
MAX_DAYS = 366


class DayUsage(serializers.Serializer[Any]):
    day = serializers.DateField(help_text="In UTC, the day on which the messages were accepted.")
    messages = serializers.IntegerField(help_text="All messages of the day.")
    segments = serializers.IntegerField(help_text="Billed units of the messages that a provider took.")
    statuses = serializers.DictField(
        child=serializers.IntegerField(), help_text="Messages by what has become of them so far, every status named."
    )


class UsageAnswer(serializers.Serializer[Any]):
    days = DayUsage(many=True, help_text="Every day asked for, the first one first.")
    daily_limit = serializers.IntegerField(allow_null=True, help_text="Messages a day, at most; null: no limit.")
    used_today = serializers.IntegerField(help_text="Messages that count against today's limit.")


@extend_schema_view(
    get=extend_schema(
        operation_id="account_usage", summary="What was sent, by day", tags=["account"], responses=UsageAnswer,
        parameters=[
            OpenApiParameter("from", date, description=f"First day; {DEFAULT_DAYS - 1} days before `to` if left out."),
            OpenApiParameter("to", date, description=f"Last day, today if left out; {MAX_DAYS} days at most."),
        ],
    )
)  # fmt: skip
class UsageView(AccountMixin, APIView):
    read_scope = Scope.ACCOUNT_READ

    def get(self, request: Request) -> Response:
        """Of the key's mode. Some ten seconds behind what has just happened."""
        require_known(request, "from", "to")
        today = clock.about_now().date()
        last = _day(request, "to", today)
        first = _day(request, "from", last - timedelta(days=DEFAULT_DAYS - 1))
        if not 0 <= (last - first).days < MAX_DAYS:
            raise ValidationError(f"1 to {MAX_DAYS} days can be asked for, the first before the last.", "from", first)
        caller = caller_of(request)
        used = DailyUse.objects.filter(account=caller.account, day=today).values_list("message_count", flat=True)
        figures = daily(caller.account, caller.mode, first, last)
        return Response(
            {
                "days": [_shown(day, of_day) for day, of_day in figures.items()],
                "daily_limit": caller.account.daily_message_limit,
                "used_today": used.first() or 0,
            }
        )


def _shown(day: date, figures: Figures) -> dict[str, object]:
    statuses = {status: figures.tally[status] for status in COUNTED_STATUSES}
    return {"day": day.isoformat(), "messages": figures.messages, "segments": figures.segments, "statuses": statuses}


def _day(request: Request, name: str, default: date) -> date:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValidationError("This must be a day such as 2027-06-17.", name, text) from None
    if len(text) != 10 or not 2000 <= day.year <= 2999:
        raise ValidationError("This must be a day such as 2027-06-17.", name, text)
    return day


class CallSerializer(serializers.ModelSerializer[ApiUsageLog]):
    class Meta:
        model = ApiUsageLog
        fields = (
            "created_at", "method", "endpoint", "status_code", "error_code", "response_time_ms", "request_size",
            "response_size", "ip_address", "user_agent", "api_key_prefix", "mode", "request_id",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {
            "created_at": {"help_text": "When it was answered."},
            "method": {"help_text": "E.g. `POST`."},
            "endpoint": {"help_text": "Its address without ids, e.g. `/api/v1/campaigns/<bulk_id>`."},
            "status_code": {"help_text": "HTTP status of the answer."},
            "error_code": {"help_text": "`error.code` of the answer; empty on success."},
            "response_time_ms": {"help_text": "Milliseconds."},
            "request_size": {"help_text": "Bytes of the body sent."},
            "response_size": {"help_text": "Bytes of the body answered."},
            "ip_address": {"help_text": "Where the call came from."},
            "user_agent": {"help_text": "What the program calls itself, shortened."},
            "api_key_prefix": {"help_text": "`key_id` of the key; empty: a person's token."},
            "mode": {"help_text": "`live` or `test`."},
            "request_id": {"help_text": "As the answer's X-Request-Id."},
        }


@extend_schema_view(
    get=extend_schema(
        operation_id="account_requests", summary="The request log, newest first", tags=["account"],
        parameters=[
            OpenApiParameter(
                "status_code", {"type": "integer", "minimum": 100, "maximum": 599}, description="Answered so, e.g. 429."
            ),
            OpenApiParameter("api_key_prefix", str, description="The public part of a key."),
        ],
    )
)  # fmt: skip
class CallListView(AccountMixin, generics.ListAPIView[ApiUsageLog]):
    """Every call with a key or token of this account, refused ones too, some seconds after it."""

    read_scope = Scope.ACCOUNT_READ
    serializer_class = CallSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[ApiUsageLog]:
        require_known(self.request, "cursor", "limit", "status_code", "api_key_prefix")
        calls = ApiUsageLog.objects.filter(account=caller_of(self.request).account)
        if "status_code" in self.request.query_params:
            calls = calls.filter(status_code=whole_number(self.request, "status_code", 0, 100, 599))
        if prefix := self.request.query_params.get("api_key_prefix"):
            calls = calls.filter(api_key_prefix=prefix[:13])
        return calls
