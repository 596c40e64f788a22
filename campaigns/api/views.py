"""`campaigns`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.principal import caller_of
from accounts.choices import Scope
from accounts.models import User
from accounts.webhooks.endpoints import check_callback
from campaigns import drafts, services
from campaigns.api.receipts import PreviewAnswer, ReceiptAnswer
from campaigns.api.requests import (
    SEND_ERRORS,
    SEND_FAILURES,
    campaign_request,
    changes_of,
    check_campaign,
    look_up_callback,
    recipients_of,
)
from campaigns.api.serializers import (
    ApproveRequest,
    BulkAnswer,
    CampaignSerializer,
    DraftRequest,
    NothingMore,
    RejectRequest,
    ResendRequest,
    StoppedAnswer,
)
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.texts.rendering import Template
from messaging.choices import MessageStatus
from messaging.preflight.preview import first_rows, one_row
from messaging.preflight.receipt import preflight, stored_receipt
from messaging.selectors import on_their_way
from messaging.sending.resending import FAILED_STATUSES
from messaging.services import resend_failed
from smsapp.api import statuses
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import CREATED, PAGE, choice, in_time, query_of, text, whole
from smsapp.api.serializers import StrictSerializer, checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import InvalidState, NotFound, TemplateVariableMissing
from uploads.api.serializers import RefusedRow as RefusedRowSerializer
from uploads.chunks import RefusedRow

MAX_REFUSED_SHOWN = 100
MAX_PREVIEWS = 100
MAX_ROW = 10**9
LAUNCH_FAILURES = may_fail(*SEND_ERRORS, InvalidState)

DRAFT = OpenApiExample(
    "From an upload, at a time",
    {
        "name": "Spring sale",
        "message": "Hello {first_name|there}, our sale begins on Friday.",
        "sender_id": "DemoShop",
        "upload_id": "upl-k3v7q2m5x4wz6abc",
        "schedule_time": "2027-03-19T09:00:00Z",
    },
    request_only=True,
)


@extend_schema_view(
    list=extend_schema(operation_id="campaigns_list", summary="List campaigns, newest first"),
    retrieve=extend_schema(operation_id="campaigns_read", summary="Read a campaign or a single send"),
)
@extend_schema(tags=["campaigns"])
class CampaignViewSet(
    AccountMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Campaign]
):
    """Campaigns in the mode of the key. A send of `/sms/send` is one too, of kind `single`."""

    read_scope = Scope.CAMPAIGNS_READ
    write_scope = Scope.CAMPAIGNS_WRITE
    serializer_class = CampaignSerializer
    pagination_class = NewestFirst
    parameters = {
        "list": (
            choice("kind", CampaignKind.values, "Single sends are left out by default."),
            choice("status", statuses.CAMPAIGN, "In this status now."),
            text("client_reference", "The one with this name of yours, of either kind."),
            *CREATED,
            *PAGE,
        ),
        "preview": (
            whole("row", 1, MAX_ROW, "Of this row of the file, or place in the request, from 1."),
            whole("limit", 1, MAX_PREVIEWS, "Or of the first ones, so many.", 10),
        ),
    }
    lookup_field = "bulk_id"
    only_reading = ("count",)

    def get_queryset(self) -> QuerySet[Campaign]:
        caller = caller_of(self.request)
        rows = Campaign.objects.for_account(caller.account, caller.mode).select_related(
            "account", "audience__upload", "resend_of", "approval_requested_by", "approved_by", "recurring"
        )
        return self._filtered(rows) if self.action == "list" else rows

    def _filtered(self, rows: QuerySet[Campaign]) -> QuerySet[Campaign]:
        query = query_of(self.request)
        if query["client_reference"]:
            rows = rows.filter(client_reference=query["client_reference"])
        if query["kind"] or not query["client_reference"]:
            rows = rows.filter(kind=query["kind"] or CampaignKind.BULK)
        if query["status"]:
            rows = rows.filter(status=query["status"].lower())
        return in_time(rows, self.request)

    def get_object(self) -> Campaign:
        found = self.get_queryset().filter(bulk_id=self.kwargs["bulk_id"]).first()
        if found is None:
            raise NotFound("There is no such campaign.")
        return found

    @extend_schema(
        operation_id="campaigns_create",
        summary="Make a draft",
        request=DraftRequest,
        responses={201: BulkAnswer},
        examples=[DRAFT],
        extensions=SEND_FAILURES,
    )
    def create(self, request: Request) -> Response:
        """Nothing is sent until it is launched. Its recipients may be given later."""
        data, caller = read(DraftRequest, request), caller_of(request)
        wanted = campaign_request(data, CampaignKind.BULK, caller)
        draft, refused = drafts.create_draft(caller.account, caller.user, wanted, recipients_of(data))
        return with_refused(draft, refused, 201)

    @extend_schema(
        operation_id="campaigns_update",
        summary="Change a draft",
        request=DraftRequest(partial=True),
        responses=BulkAnswer,
        examples=[OpenApiExample("Another text", {"message": "Our sale begins on Monday."}, request_only=True)],
        extensions=LAUNCH_FAILURES,
    )
    def partial_update(self, request: Request, bulk_id: str) -> Response:
        """What is left out stays. Anything but a draft is refused; `withdraw` makes a draft of what has not begun."""
        campaign, caller = self.get_object(), caller_of(request)

        def check(given: Mapping[str, Any]) -> None:
            drafts.check_change(campaign, changes_of(given, caller.account))

        data = checked(DraftRequest, request, check, partial=True)
        changes = changes_of(data, caller.account)
        draft, refused = drafts.change_draft(campaign, caller.user, changes, recipients_of(data))
        return with_refused(draft, refused, 200)

    @extend_schema(
        operation_id="campaigns_delete",
        summary="Delete a draft",
        responses={204: None},
        extensions=may_fail(InvalidState),
    )
    def destroy(self, request: Request, bulk_id: str) -> Response:
        """Anything else stays on record: it can be cancelled."""
        drafts.delete_draft(self.get_object(), caller_of(request).user)
        return Response(status=204)

    @extend_schema(
        operation_id="campaigns_preview",
        summary="Read texts as recipients would",
        responses=PreviewAnswer,
        extensions=may_fail(TemplateVariableMissing),
    )
    @action(detail=True, methods=["get"])
    def preview(self, request: Request, bulk_id: str) -> Response:
        """With the values of their rows filled in. Nothing is sent or charged."""
        campaign = self.get_object()
        query = query_of(request)
        rows = [one_row(campaign, query["row"])] if query["row"] else first_rows(campaign, query["limit"])
        names = () if campaign.kind == CampaignKind.SINGLE else Template(campaign.message).names
        answer = {"placeholders": names, "rows": rows}
        return Response(PreviewAnswer(answer).data)

    @extend_schema(
        operation_id="campaigns_preflight",
        summary="Count what it would send",
        request=None,
        responses={200: ReceiptAnswer, 202: ReceiptAnswer},
        extensions=may_fail(InvalidState, TemplateVariableMissing),
    )
    @action(detail=True, methods=["post"], url_path="preflight")
    def count(self, request: Request, bulk_id: str) -> Response:
        """The receipt before sending, exact: every text is made as it would be sent. A large campaign is counted by a
        task: 202 with the `progress`; ask again. Nothing is sent or charged."""
        checked(NothingMore, request)
        receipt = preflight(self.get_object())
        return Response(ReceiptAnswer(receipt).data, status=200 if receipt.progress == 1 else 202)

    @extend_schema(
        operation_id="campaigns_preflight_read",
        summary="Read the last receipt",
        responses=ReceiptAnswer,
    )
    @count.mapping.get
    def receipt(self, request: Request, bulk_id: str) -> Response:
        """As it was counted last, also after the campaign was started. 404 if its text or recipients were changed."""
        receipt = stored_receipt(self.get_object())
        if receipt is None:
            raise NotFound("There is no receipt of this campaign as it stands now.")
        return Response(ReceiptAnswer(receipt).data)

    @extend_schema(
        operation_id="campaigns_launch",
        summary="Launch a draft",
        request=None,
        responses=CampaignSerializer,
        extensions=LAUNCH_FAILURES,
    )
    @action(detail=True, methods=["post"])
    def launch(self, request: Request, bulk_id: str) -> Response:
        """It runs at once, or is SCHEDULED, or with more recipients than your account allows one person to send to,
        AWAITING_APPROVAL. A second launch is refused: 409 with `current_status`."""
        return self._act(request, services.launch)

    @extend_schema(
        operation_id="campaigns_approve",
        summary="Approve a campaign, as a second person",
        request=ApproveRequest,
        examples=[OpenApiExample("What was seen", {"approval_hash": "9b2c…"}, request_only=True)],
        responses=CampaignSerializer,
        extensions=LAUNCH_FAILURES,
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, bulk_id: str) -> Response:
        """For an owner or admin who is not the one that launched it; a key acts as the person who made it. It then runs
        or is SCHEDULED. The approval holds for exactly what was approved."""
        data = checked(ApproveRequest, request)
        seen, comment = data["approval_hash"], data["comment"]
        return self._act(request, lambda campaign, by: services.approve(campaign, by, seen, comment))

    @extend_schema(
        operation_id="campaigns_reject",
        summary="Reject a campaign that waits for approval",
        request=RejectRequest,
        examples=[OpenApiExample("What has to change", {"comment": "The date is wrong."}, request_only=True)],
        responses=CampaignSerializer,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, bulk_id: str) -> Response:
        """Return it to draft, with your comment in `status_detail`; a resend is CANCELLED. For the same people as
        `approve`."""
        comment = checked(RejectRequest, request)["comment"]
        return self._act(request, lambda campaign, by: services.reject(campaign, by, comment))

    @extend_schema(
        operation_id="campaigns_withdraw",
        summary="Withdraw a campaign from approval",
        request=None,
        responses=CampaignSerializer,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, bulk_id: str) -> Response:
        """While it is AWAITING_APPROVAL or SCHEDULED. Its approval is void."""
        return self._act(request, services.withdraw)

    @extend_schema(
        operation_id="campaigns_pause",
        summary="Pause a campaign",
        request=None,
        responses=StoppedAnswer,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, bulk_id: str) -> Response:
        """After the answer no message is handed over, but for those that were on their way."""
        return self._stop(request, services.pause)

    @extend_schema(
        operation_id="campaigns_resume",
        summary="Resume a campaign",
        request=None,
        responses=CampaignSerializer,
        extensions=LAUNCH_FAILURES,
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, bulk_id: str) -> Response:
        """Where it was paused, or although its time was MISSED."""
        return self._act(request, services.resume)

    @extend_schema(
        operation_id="campaigns_cancel",
        summary="Stop a campaign for good",
        request=None,
        responses=StoppedAnswer,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, bulk_id: str) -> Response:
        """After the answer no message is handed over, but for those that were on their way."""
        return self._stop(request, services.cancel)

    @extend_schema(
        operation_id="campaigns_resend_failed",
        summary="Send the failed messages again",
        request=ResendRequest,
        examples=[OpenApiExample("And those without proof", {"also": ["UNCONFIRMED"]}, request_only=True)],
        responses={201: CampaignSerializer},
        extensions=LAUNCH_FAILURES,
    )
    @action(detail=True, methods=["post"], url_path="resend-failed")
    def resend_failed(self, request: Request, bulk_id: str) -> Response:
        """Of a completed or cancelled campaign, once, as a new campaign with new messages. A large one is a draft until
        its recipients are gathered, and then starts by itself."""
        also = checked(ResendRequest, request)["also"]
        wanted = [*FAILED_STATUSES, *(MessageStatus[name] for name in sorted(set(also)))]
        return self._act(request, lambda campaign, by: resend_failed(campaign, by, wanted), status=201)

    @extend_schema(
        operation_id="campaigns_clone",
        summary="Make a draft from a campaign",
        request=None,
        responses={201: CampaignSerializer},
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def clone(self, request: Request, bulk_id: str) -> Response:
        """With its text, sender, callback and recipients; without times and `client_reference`."""
        return self._act(request, drafts.clone, status=201)

    def look_ahead(self, request: Request) -> None:
        if self.action == "create":
            look_up_callback(request, lambda: check_campaign(request, read(DraftRequest, request)))
        elif self.action in ("launch", "approve", "resend_failed") and (url := self.get_object().callback_url):
            caller = caller_of(request)
            check_callback(caller.account, caller.mode, url)

    def _act(self, request: Request, act: Callable[[Campaign, User], Campaign], status: int = 200) -> Response:
        campaign = self._acted(request, act)
        return Response(CampaignSerializer(campaign).data, status=status)

    def _stop(self, request: Request, act: Callable[[Campaign, User], Campaign]) -> Response:
        campaign = self._acted(request, act)
        return Response({**CampaignSerializer(campaign).data, "on_their_way": on_their_way(campaign)})

    def _acted(self, request: Request, act: Callable[[Campaign, User], Campaign]) -> Campaign:
        if self.action not in ("approve", "reject", "resend_failed"):
            checked(NothingMore, request)
        return act(self.get_object(), caller_of(request).user)


def read(form_class: type[StrictSerializer], request: Request) -> dict[str, Any]:
    return checked(form_class, request, partial(check_campaign, request))


def with_refused(campaign: Campaign, refused: Sequence[RefusedRow], status: int) -> Response:
    answer = {
        **CampaignSerializer(campaign).data,
        "refused_count": len(refused),
        "refused": RefusedRowSerializer(refused[:MAX_REFUSED_SHOWN], many=True).data,
    }
    return Response(answer, status=status)
