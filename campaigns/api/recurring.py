"""`recurring-campaigns`: what is sent again and again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from functools import partial
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.principal import caller_of
from accounts.choices import Scope
from campaigns.api.requests import (
    SEND_ERRORS,
    SEND_FAILURES,
    campaign_request,
    changes_of,
    check_campaign,
    look_up_callback,
    recipients_of,
)
from campaigns.api.serializers import RECIPIENTS, TEXT, CampaignOptions, NothingMore
from campaigns.choices import CampaignKind
from campaigns.models import RecurringCampaign
from campaigns.recipients import require_numbers
from campaigns.scheduling import recurring
from campaigns.scheduling.rule import Every, Rule
from campaigns.validation import check_request
from smsapp.api import statuses
from smsapp.api.fields import StatusField, WallTimeField, ZonedDateTimeField
from smsapp.api.openapi.rules import all_of, exactly_one
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE, query_of, whole
from smsapp.api.serializers import Answer, ModelAnswer, checked
from smsapp.api.views import AccountMixin
from smsapp.core import clock
from smsapp.core.exceptions import InvalidState, Problems, ValidationError

MAX_PREVIEWED = 50
RULE_FIELDS = ("every", "at", "timezone", "weekdays", "month_day", "cron")
OPTIONS = ("valid_minutes", "ends_at")
WEEKLY = OpenApiExample(
    "Mondays and Thursdays at nine",
    {
        "name": "Reminder",
        "message": "Hello {first_name|there}, see you soon.",
        "list_id": "lst-3f1c…",
        "every": "week",
        "weekdays": [1, 4],
        "at": "09:00",
        "timezone": "Europe/Berlin",
        "valid_minutes": 240,
    },
    request_only=True,
)


class RecurringRequest(CampaignOptions):
    """What is sent and to whom, as of a campaign; and when."""

    rules = all_of(exactly_one(*TEXT), exactly_one(*RECIPIENTS))

    # Each of its campaigns has its own.
    schedule_time = None  # type: ignore[assignment]
    client_reference = None  # type: ignore[assignment]
    valid_until = None  # type: ignore[assignment]
    every = serializers.ChoiceField(
        choices=[one.value for one in Every],
        required=False,
        default=Every.DAY.value,
        help_text="`weekday` is Monday to Friday; `week` names its `weekdays`, `month` its `month_day`; `cron` is for "
        "what these cannot say.",
    )
    at = WallTimeField(default=time(9), allow_null=False, help_text="On the clock of `timezone`, e.g. `09:00`.")
    timezone = serializers.CharField(
        max_length=63, required=False, default="UTC", help_text="IANA name, e.g. `Europe/Berlin`."
    )
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6),
        required=False,
        max_length=7,
        default=list,
        help_text="With `week`: 0 is Sunday, 1 Monday, … 6 Saturday.",
    )
    month_day = serializers.IntegerField(
        min_value=1, max_value=28, required=False, default=1, help_text="With `month`: 1 to 28, which each month has."
    )
    cron = serializers.CharField(
        max_length=120,
        required=False,
        default="",
        allow_blank=True,
        help_text="With `cron`: minute, hour, day of month, month, day of week, e.g. `0 9 1-7 * 1`, the first Monday. "
        "All of them must match. A time that the clocks skip comes an hour later, one that comes twice fires once.",
    )
    valid_minutes = serializers.IntegerField(
        min_value=5,
        max_value=60 * 24 * 30,
        required=False,
        default=None,
        allow_null=True,
        help_text="Minutes after its moment in which a message may still be handed over, e.g. 240.",
    )
    ends_at = ZonedDateTimeField(required=False, default=None, allow_null=True, help_text="The last moment, or null.")

    def wrong_choices(self, data: Mapping[str, Any]) -> dict[str, str]:
        return super().wrong_choices(data) | ({} if self.partial else self.missing_choices(data))


class RecurringSerializer(ModelAnswer[RecurringCampaign]):
    name = serializers.CharField(read_only=True, allow_null=True, help_text="For your own eyes, or null.")
    status = StatusField(statuses.RECURRING, help_text="PAUSED: by you, or since its last times failed: see `detail`.")
    list_id = serializers.CharField(
        source="contact_list.list_id",
        default=None,
        allow_null=True,
        help_text="The contact list, as it stands at each moment; null: always the same recipients.",
    )
    rule = serializers.SerializerMethodField(help_text="Minute, hour, day of month, month, day of week.")
    timezone = serializers.CharField(source="rule.timezone", help_text="On whose clocks the rule is.")
    quiet_from = serializers.TimeField(format="%H:%M", read_only=True, allow_null=True, help_text="See `campaigns`.")
    quiet_until = serializers.TimeField(format="%H:%M", read_only=True, allow_null=True, help_text="See `campaigns`.")
    callback_url = serializers.CharField(
        read_only=True, allow_null=True, help_text="Where results of its campaigns go, or null."
    )
    canary_wait_seconds = serializers.IntegerField(source="canary_wait", read_only=True, help_text="See `campaigns`.")
    canary_floor_percent = serializers.IntegerField(source="canary_floor", read_only=True, help_text="See `campaigns`.")

    class Meta:
        model = RecurringCampaign
        fields = (
            "recurring_id",
            "mode",
            "name",
            "message",
            "sender_id",
            "callback_url",
            "list_id",
            "rule",
            "timezone",
            "valid_minutes",
            "quiet_from",
            "quiet_until",
            "canary_size",
            "canary_percent",
            "canary_wait_seconds",
            "canary_floor_percent",
            "status",
            "next_run_at",
            "last_run_at",
            "ends_at",
            "run_count",
            "failure_count",
            "detail",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields
        extra_kwargs = {
            "recurring_id": {"help_text": "Its id, e.g. `rec-3f1c…`."},
            "mode": {"help_text": "`test`: its campaigns go to the simulator."},
            "message": {"help_text": "The text, with its `{placeholders}`."},
            "sender_id": {"help_text": "What handsets show; null: the provider chooses."},
            "valid_minutes": {"help_text": "Minutes after its moment in which it may be handed over; null: any."},
            "canary_size": {"help_text": "See `campaigns`."},
            "canary_percent": {"help_text": "See `campaigns`."},
            "next_run_at": {"help_text": "The next moment; null: none."},
            "last_run_at": {"help_text": "The last moment that fired; null: none yet."},
            "ends_at": {"help_text": "No moment after this fires; null: it goes on."},
            "run_count": {"help_text": "Campaigns it has made."},
            "failure_count": {"help_text": "Moments in a row that made none; after three it is paused."},
            "detail": {"help_text": "What was wrong at the last time; null: nothing."},
            "created_at": {"help_text": "When it was made."},
            "updated_at": {"help_text": "When it was changed last."},
        }

    def get_rule(self, row: RecurringCampaign) -> str:
        return str(Rule.of(row.rule))


class NextMoments(Answer):
    moments = serializers.ListField(child=serializers.DateTimeField(), help_text="In order.")


@extend_schema_view(
    list=extend_schema(operation_id="recurring_list", summary="List recurring campaigns, newest first"),
    retrieve=extend_schema(operation_id="recurring_read", summary="Read a recurring campaign"),
)
@extend_schema(tags=["recurring-campaigns"])
class RecurringViewSet(
    AccountMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[RecurringCampaign]
):
    """Each moment makes a campaign of its own, which is paused, read and reported like any other."""

    read_scope = Scope.CAMPAIGNS_READ
    write_scope = Scope.CAMPAIGNS_WRITE
    serializer_class = RecurringSerializer
    lookup_field = "recurring_id"
    pagination_class = NewestFirst
    parameters = {"list": PAGE, "preview": (whole("count", 1, MAX_PREVIEWED, "So many moments.", 5),)}

    def get_queryset(self) -> QuerySet[RecurringCampaign]:
        caller = caller_of(self.request)
        rows = RecurringCampaign.objects.filter(account=caller.account, mode=caller.mode)
        return rows.select_related("rule", "contact_list")

    def get_object(self) -> RecurringCampaign:
        caller = caller_of(self.request)
        return recurring.recurring_of(caller.account, self.kwargs["recurring_id"], caller.mode)

    def look_ahead(self, request: Request) -> None:
        if self.action == "create":
            look_up_callback(request, lambda: _check(request, _checked(request)))

    @extend_schema(
        operation_id="recurring_create",
        summary="Make a recurring campaign",
        request=RecurringRequest,
        responses={201: RecurringSerializer},
        examples=[WEEKLY],
        extensions=SEND_FAILURES,
    )
    def create(self, request: Request) -> Response:
        """It is active at once; `preview` says when it runs. More recipients than one person may send to need a second
        person for each of its campaigns."""
        data, caller = _checked(request), caller_of(request)
        rule = _rule_of(request, data)
        options = {name: data.pop(name) for name in OPTIONS}
        wanted = recipients_of(data)
        assert wanted is not None
        ask = campaign_request(_of_campaign(data), CampaignKind.BULK, caller)
        row = recurring.create_recurring(caller.account, caller.user, ask, rule, wanted, **options)
        return Response(RecurringSerializer(row).data, status=201)

    @extend_schema(
        operation_id="recurring_update",
        summary="Change a recurring campaign",
        request=RecurringRequest(partial=True),
        responses=RecurringSerializer,
        extensions=may_fail(*SEND_ERRORS, InvalidState),
        examples=[OpenApiExample("An hour later", {"every": "weekday", "at": "10:00"}, request_only=True)],
    )
    def partial_update(self, request: Request, recurring_id: str) -> Response:
        """What is left out stays, but a rule is given whole: `every` with what belongs to it. What has fired goes on as
        it is."""
        row = self.get_object()
        data = checked(RecurringRequest, request, partial(_check_change, row), partial=True)
        rule = _rule(_with_defaults(data, row)) if set(RULE_FIELDS) & set(data) else None
        wanted = recipients_of(data)
        changes = changes_of(_of_campaign(data), row.account)
        return _shown(recurring.change_recurring(row, caller_of(request).user, changes, rule, wanted))

    @extend_schema(
        operation_id="recurring_preview",
        summary="When it runs next",
        responses=NextMoments,
    )
    @action(detail=True, methods=["get"])
    def preview(self, request: Request, recurring_id: str) -> Response:
        row = self.get_object()
        count = query_of(request)["count"]
        return Response(NextMoments({"moments": recurring.next_moments(row, count)}).data)

    @extend_schema(
        operation_id="recurring_pause",
        summary="Pause a recurring campaign",
        request=None,
        responses=RecurringSerializer,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, recurring_id: str) -> Response:
        """Nothing fires until it is resumed. Campaigns that it has made go on."""
        return self._act(request, recurring.pause)

    @extend_schema(
        operation_id="recurring_resume",
        summary="Resume a recurring campaign",
        request=None,
        responses=RecurringSerializer,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, recurring_id: str) -> Response:
        """From its next moment on; those in between are skipped."""
        return self._act(request, recurring.resume)

    @extend_schema(
        operation_id="recurring_end",
        summary="End a recurring campaign for good",
        responses={200: RecurringSerializer},
        extensions=may_fail(InvalidState),
    )
    def destroy(self, request: Request, recurring_id: str) -> Response:
        """It stays on record, as its campaigns do."""
        return _shown(recurring.end(self.get_object(), caller_of(request).user))

    def _act(self, request: Request, act: Any) -> Response:
        NothingMore(data=request.data).is_valid(raise_exception=True)
        return _shown(act(self.get_object(), caller_of(request).user))


def _shown(row: RecurringCampaign) -> Response:
    return Response(RecurringSerializer(row).data)


def _checked(request: Request) -> dict[str, Any]:
    return checked(RecurringRequest, request, partial(_check, request))


def _check(request: Request, given: Mapping[str, Any]) -> None:
    """What a recurring campaign is checked for, of the fields that are there."""
    problems = Problems()
    if set(RULE_FIELDS) <= set(given):
        rule = problems.check(_rule, given)
        if rule is not None:
            problems.check(rule.check, clock.about_now())
    problems.check(check_campaign, request, _of_campaign({k: v for k, v in given.items() if k not in OPTIONS}))
    problems.refuse()


def _check_change(row: RecurringCampaign, given: Mapping[str, Any]) -> None:
    """What the recurring campaign would be checked for, with the fields that are there changed."""
    problems = Problems()
    if set(RULE_FIELDS) & set(given):
        rule = problems.check(_rule, _with_defaults(given, row))
        if rule is not None:
            problems.check(rule.check, clock.about_now())
    of_campaign = {name: value for name, value in _of_campaign(given).items() if name not in OPTIONS}
    changes = problems.check(changes_of, of_campaign, row.account) or {}
    problems.check(check_request, row.account, replace(recurring.request_of(row, None), **changes), columns=None)
    if "phone_numbers" in given:
        problems.check(require_numbers, row.account, given["phone_numbers"])
    problems.refuse()


def _rule_of(request: Request, data: Mapping[str, Any]) -> Rule:
    """Raises ValidationError, which names what else is wrong, too."""
    try:
        return _rule(data)
    except ValidationError:
        _check(request, data)
        raise


def _of_campaign(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says when."""
    return {name: value for name, value in data.items() if name not in RULE_FIELDS}


def _with_defaults(data: Mapping[str, Any], row: RecurringCampaign) -> dict[str, Any]:
    """A changed rule, for which its zone stays where none is given."""
    usual = {
        "every": Every.DAY.value,
        "at": time(9),
        "timezone": str(row.rule.timezone),
        "weekdays": [],
        "month_day": 1,
        "cron": "",
    }
    return usual | {name: data[name] for name in RULE_FIELDS if name in data}


def _rule(data: Mapping[str, Any]) -> Rule:
    every = Every(data["every"])
    if every is Every.CRON:
        fields = data["cron"].split()
        if len(fields) != 5:
            words = "A rule has five fields: minute, hour, day of month, month, day of week."
            raise ValidationError(words, "cron", data["cron"])
        minute, hour, day_of_month, month_of_year, day_of_week = fields
        return Rule(minute, hour, day_of_month, month_of_year, day_of_week, data["timezone"])
    if every is Every.WEEK and not data["weekdays"]:
        raise ValidationError("Say on which days of the week.", "weekdays")
    weekdays = tuple(sorted(set(data["weekdays"])))
    return Rule.at(every, data["timezone"], data["at"], weekdays=weekdays, month_day=data["month_day"])
