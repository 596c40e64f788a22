"""`POST /sms/bulk`."""

from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access.principal import caller_of
from accounts.choices import Scope
from campaigns import drafts
from campaigns.api.requests import SEND_FAILURES, campaign_request, check_campaign, look_up_callback, recipients_of
from campaigns.api.serializers import BulkAnswer, BulkRequest
from campaigns.api.views import DRAFT, read, with_refused
from campaigns.choices import CampaignKind
from campaigns.recipients import RecipientSource
from smsapp.api.views import AccountMixin


class BulkViewSet(AccountMixin, viewsets.ViewSet):
    write_scope = Scope.CAMPAIGNS_WRITE

    def look_ahead(self, request: Request) -> None:
        look_up_callback(request, lambda: check_campaign(request, read(BulkRequest, request)))

    @extend_schema(
        operation_id="sms_bulk",
        summary="Start a bulk campaign",
        tags=["sms"],
        request=BulkRequest,
        responses={202: BulkAnswer},
        examples=[DRAFT],
        extensions=SEND_FAILURES,
    )
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """From an upload or contact list, whose columns fill the `{placeholders}`, or the numbers of the request.

        The same as making a draft and launching it: with more recipients than your account allows one person to send
        to, it is AWAITING_APPROVAL.
        """
        data, caller = read(BulkRequest, request), caller_of(request)
        wanted = campaign_request(data, CampaignKind.BULK, caller)
        campaign, refused = drafts.start_bulk(
            caller.account, caller.user, wanted, recipients_of(data) or RecipientSource()
        )
        return with_refused(campaign, refused, 202)
