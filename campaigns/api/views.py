"""`POST /sms/bulk`, and reading campaigns."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from accounts.models import Account
from campaigns.api.requests import campaign_request
from campaigns.api.serializers import BulkAnswer, BulkRequest, CampaignSerializer
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.services import check_request, create_campaign
from smsapp.api.pagination import NewestFirst
from smsapp.api.query import require_known
from smsapp.api.views import AccountMixin
from smsapp.exceptions import InvalidPhoneNumber, ValidationError
from uploads.api.serializers import RefusedRow as RefusedRowSerializer
from uploads.chunks import RefusedRow
from uploads.models import Audience
from uploads.services import audience_from_numbers, ready_audience, screen_numbers

MAX_REFUSED_SHOWN = 100


class BulkView(AccountMixin, APIView):
    write_scope = Scope.CAMPAIGNS_WRITE

    @extend_schema(
        operation_id="sms_bulk", summary="Start a bulk campaign", tags=["sms"],
        request=BulkRequest, responses={202: BulkAnswer},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """From an upload, whose columns fill the `{placeholders}`, or from the numbers of the request."""
        form = BulkRequest(data=request.data)
        form.is_valid(raise_exception=True)
        data, caller = form.validated_data, caller_of(request)
        wanted = campaign_request(data, CampaignKind.BULK, caller.mode)
        refused: Sequence[RefusedRow] = ()
        with transaction.atomic():
            if "upload_id" in data:
                audience = ready_audience(caller.account, data["upload_id"])
            else:
                check_request(caller.account, wanted)
                audience, refused = _audience(caller.account, data["phone_numbers"])
            campaign = create_campaign(caller.account, caller.user, wanted, audience)
        answer = {
            **CampaignSerializer(campaign).data,
            "refused_count": len(refused),
            "refused": RefusedRowSerializer(refused[:MAX_REFUSED_SHOWN], many=True).data,
        }
        return Response(answer, status=202)


def _audience(account: Account, numbers: list[str]) -> tuple[Audience, list[RefusedRow]]:
    good, refused = screen_numbers(numbers, account.default_country)
    if not good:
        errors = RefusedRowSerializer(refused[:MAX_REFUSED_SHOWN], many=True).data
        raise InvalidPhoneNumber(
            "None of the numbers can receive an SMS.", "phone_numbers[0]", numbers[0], errors=errors
        )
    return audience_from_numbers(account, good, refused=refused), refused


@extend_schema_view(
    get=extend_schema(
        operation_id="campaigns_list",
        summary="List campaigns, newest first",
        tags=["campaigns"],
        parameters=[
            OpenApiParameter("kind", str, enum=["bulk", "single"], description="Single sends are left out by default.")
        ],
    )
)
class CampaignListView(AccountMixin, generics.ListAPIView[Campaign]):
    read_scope = Scope.CAMPAIGNS_READ
    serializer_class = CampaignSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Campaign]:
        require_known(self.request, "cursor", "limit", "kind")
        kind = self.request.query_params.get("kind", CampaignKind.BULK)
        if kind not in CampaignKind.values:
            raise ValidationError("This must be `bulk` or `single`.", "kind", kind)
        caller = caller_of(self.request)
        return Campaign.objects.for_account(caller.account, caller.mode).filter(kind=kind)


@extend_schema_view(
    get=extend_schema(operation_id="campaigns_read", summary="Read a campaign or a single send", tags=["campaigns"])
)
class CampaignView(AccountMixin, generics.RetrieveAPIView[Campaign]):
    read_scope = Scope.CAMPAIGNS_READ
    serializer_class = CampaignSerializer
    lookup_field = "bulk_id"

    def get_queryset(self) -> QuerySet[Campaign]:
        caller = caller_of(self.request)
        return Campaign.objects.for_account(caller.account, caller.mode)
