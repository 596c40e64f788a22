"""`POST /sms/send`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.access.principal import caller_of
from accounts.choices import Scope
from campaigns.api.requests import ANY_TEXT, SINGLE_FAILURES, campaign_request, look_up_callback
from campaigns.choices import CampaignKind
from messaging import services
from messaging.api.serializers import SendAnswer, SendRequest
from messaging.choices import OPEN, MessageStatus
from messaging.models import Message
from messaging.restore import detection
from smsapp.api.serializers import checked
from smsapp.api.views import AccountMixin

EXAMPLE = OpenApiExample(
    "Two recipients",
    {"phone_numbers": ["+4915112345678", "+14155552671"], "message": "Your parcel is here.", "sender_id": "DemoShop"},
    request_only=True,
)


class SendViewSet(AccountMixin, ViewSet):
    write_scope = Scope.MESSAGES_SEND

    def look_ahead(self, request: Request) -> None:
        detection.look_once()
        look_up_callback(request, lambda: _check(request, _read(request)))

    @extend_schema(
        operation_id="sms_send",
        summary="Send one text to 1–100 numbers",
        tags=["sms"],
        request=SendRequest,
        responses={202: SendAnswer},
        examples=[EXAMPLE],
        extensions=SINGLE_FAILURES,
    )
    @action(detail=False, methods=["post"])
    def send(self, request: Request) -> Response:
        """All numbers are accepted or none is. Accepted means durable: each message is handed over at most once."""
        data, caller = _read(request), caller_of(request)
        wanted = campaign_request(data, CampaignKind.SINGLE, caller)
        campaign, messages = services.send(caller.account, caller.user, wanted, data["phone_numbers"])
        accepted = sum(message.status == MessageStatus.QUEUED for message in messages)
        answer = {
            "bulk_id": campaign.bulk_id,
            "client_reference": campaign.client_reference,
            "total_sent": len(messages),
            "successful": accepted,
            "failed": len(messages) - accepted,
            "messages": [_shown(message) for message in messages],
        }
        return Response(answer, status=202)


def _read(request: Request) -> dict[str, Any]:
    return checked(SendRequest, request, partial(_check, request))


def _check(request: Request, data: Mapping[str, Any]) -> None:
    """What `send` checks, of the fields that are there."""
    caller = caller_of(request)
    wanted = campaign_request({"message": ANY_TEXT, **data}, CampaignKind.SINGLE, caller)
    services.check_send(caller.account, wanted, data.get("phone_numbers", ()))


def _shown(message: Message) -> dict[str, object]:
    return {
        "message_id": message.message_id,
        "to": message.phone_number,
        "status": MessageStatus(message.status).public,
        "is_final": message.status not in OPEN,
        "segments": message.segment_count,
    }
