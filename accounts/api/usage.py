"""`GET /account/usage`, what was sent by day, and `GET /account/requests`, the request log."""

from datetime import date, timedelta

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access.principal import caller_of
from accounts.choices import Scope
from accounts.models import ApiUsageLog, DailyUse
from campaigns.models.tally import by_status
from reports.selectors.daily import Figures, daily
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE, day, query_of, text, whole
from smsapp.api.serializers import Answer, ModelAnswer
from smsapp.api.statuses import StatusCounts
from smsapp.api.views import AccountMixin
from smsapp.core import clock
from smsapp.core.exceptions import ValidationError

DEFAULT_DAYS = 30
MAX_DAYS = 366


class DayUsage(Answer):
    day = serializers.DateField(help_text="In UTC, the day on which the messages were accepted.")
    message_count = serializers.IntegerField(help_text="All messages of the day.")
    segments = serializers.IntegerField(help_text="Billed units of the messages that a provider took.")
    messages_by_status = StatusCounts(help_text="Messages by what has become of them so far.")


class UsageAnswer(Answer):
    days = DayUsage(many=True, help_text="Every day asked for, the first one first.")
    daily_limit = serializers.IntegerField(allow_null=True, help_text="Messages a day, at most; null: no limit.")
    used_today = serializers.IntegerField(help_text="Messages that count against today's limit.")


@extend_schema_view(
    get=extend_schema(
        operation_id="account_usage", summary="What was sent, by day", tags=["account"], responses=UsageAnswer
    )
)
class UsageView(AccountMixin, APIView):
    read_scope = Scope.ACCOUNT_READ
    parameters = {
        "get": (
            day("from", f"First day; {DEFAULT_DAYS - 1} days before `to` if left out."),
            day("to", f"Last day, today if left out; {MAX_DAYS} days at most."),
        )
    }

    def get(self, request: Request) -> Response:
        """Of the key's mode. Some ten seconds behind what has just happened."""
        query, today = query_of(request), clock.about_now().date()
        last = query["to"] or today
        first = query["from"] or last - timedelta(days=DEFAULT_DAYS - 1)
        if not 0 <= (last - first).days < MAX_DAYS:
            raise ValidationError(f"1 to {MAX_DAYS} days can be asked for, the first before the last.", "from", first)
        caller = caller_of(request)
        used = DailyUse.objects.filter(account=caller.account, day=today).values_list("message_count", flat=True)
        figures = daily(caller.account, caller.mode, first, last)
        return Response(
            {
                "days": [_shown(*of_day) for of_day in figures.items()],
                "daily_limit": caller.account.daily_message_limit,
                "used_today": used.first() or 0,
            }
        )


def _shown(of: date, figures: Figures) -> dict[str, object]:
    return {
        "day": of.isoformat(),
        "message_count": figures.messages,
        "segments": figures.segments,
        "messages_by_status": by_status(figures.tally),
    }


class CallSerializer(ModelAnswer[ApiUsageLog]):
    key_id = serializers.CharField(
        source="api_key_prefix", read_only=True, allow_null=True, help_text="The key; null: a person's token."
    )

    class Meta:
        model = ApiUsageLog
        fields = (
            "created_at",
            "method",
            "endpoint",
            "status_code",
            "error_code",
            "response_time_ms",
            "request_size",
            "response_size",
            "ip_address",
            "user_agent",
            "key_id",
            "mode",
            "request_id",
        )
        read_only_fields = fields
        extra_kwargs = {
            "created_at": {"help_text": "When it was answered."},
            "method": {"help_text": "E.g. `POST`."},
            "endpoint": {"help_text": "Its address without ids, e.g. `/api/v1/campaigns/{bulk_id}`."},
            "status_code": {"help_text": "HTTP status of the answer."},
            "error_code": {"help_text": "`error.code` of the answer; null on success."},
            "response_time_ms": {"help_text": "Milliseconds."},
            "request_size": {"help_text": "Bytes of the body sent."},
            "response_size": {"help_text": "Bytes of the body answered."},
            "ip_address": {"help_text": "Where the call came from."},
            "user_agent": {"help_text": "What the program calls itself, shortened; or null."},
            "mode": {"help_text": "`live` or `test`."},
            "request_id": {"help_text": "As the answer's X-Request-Id."},
        }


@extend_schema_view(
    get=extend_schema(operation_id="account_requests", summary="The request log, newest first", tags=["account"])
)
class CallListView(AccountMixin, generics.ListAPIView[ApiUsageLog]):
    """Every call with a key or token of this account, refused ones too, some seconds after it."""

    read_scope = Scope.ACCOUNT_READ
    serializer_class = CallSerializer
    pagination_class = NewestFirst
    parameters = {
        "get": (
            whole("status_code", 100, 599, "Answered so, e.g. 429."),
            text("key_id", "With this key."),
            *PAGE,
        )
    }

    def get_queryset(self) -> QuerySet[ApiUsageLog]:
        query = query_of(self.request)
        calls = ApiUsageLog.objects.filter(account=caller_of(self.request).account)
        if query["status_code"]:
            calls = calls.filter(status_code=query["status_code"])
        if query["key_id"]:
            calls = calls.filter(api_key_prefix=query["key_id"][:13])
        return calls
