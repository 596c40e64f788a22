"""`/webhooks`: where events go, what became of each, and how to send them again."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import Throttled
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSet

from accounts.access.principal import caller_of
from accounts.api.webhook_serializers import (
    EVENT_TYPES,
    CallbackSecret,
    DeliveryDetail,
    DeliverySerializer,
    NewWebhook,
    ReplayAnswer,
    ReplayRequest,
    WebhookChange,
    WebhookSerializer,
)
from accounts.choices import EndpointKind, Scope
from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.webhooks import destinations, endpoints
from accounts.webhooks.endpoints import REPLAYS_A_SECOND
from smsapp.api import statuses
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE, choice, query_of
from smsapp.api.serializers import StrictSerializer, checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import CallbackUrlNotAllowed, InvalidState, NotFound
from smsapp.core.rate_limits import Bucket, count

EXAMPLE = OpenApiExample(
    "Results and ends of campaigns",
    {
        "url": "https://your-app.com/webhook",
        "event_types": ["message.delivered", "message.undelivered", "message.failed", "campaign.completed"],
    },
    request_only=True,
)


@extend_schema_view(
    list=extend_schema(
        operation_id="webhooks_list",
        summary="List endpoints, newest first",
        tags=["webhooks"],
    ),
    retrieve=extend_schema(operation_id="webhooks_read", summary="Read an endpoint", tags=["webhooks"]),
)
class WebhookViewSet(AccountMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet[WebhookEndpoint]):
    """Endpoints of the account in the mode of the key. At most ten, beside callback URLs of sends."""

    is_for_one_person = True
    read_scope = Scope.WEBHOOKS_READ
    write_scope = Scope.WEBHOOKS_WRITE
    serializer_class = WebhookSerializer
    lookup_field = "endpoint_id"
    pagination_class = NewestFirst
    parameters = {"list": (choice("kind", EndpointKind.values, "Only of this kind."), *PAGE)}

    def look_ahead(self, request: Request) -> None:
        if self.action == "create":
            values = checked(WebhookChange, request, _check_url)
            destinations.check_url(values["url"])
        elif self.action == "enable":
            destinations.check_url(self.get_object().url)

    def get_queryset(self) -> QuerySet[WebhookEndpoint]:
        found, kind = _endpoints_of(self.request), query_of(self.request)["kind"]
        return found.filter(kind=kind) if kind else found

    def get_object(self) -> WebhookEndpoint:
        return _endpoint(self.request, self.kwargs["endpoint_id"])

    @extend_schema(
        operation_id="webhooks_create",
        summary="Make an endpoint",
        tags=["webhooks"],
        request=WebhookChange,
        responses={201: NewWebhook},
        examples=[EXAMPLE],
        extensions=may_fail(CallbackUrlNotAllowed, InvalidState),
    )
    def create(self, request: Request) -> Response:
        """Its secret is in this answer only. Bodies are signed as Standard Webhooks 1.0.0 says."""
        caller, values = caller_of(request), checked(WebhookChange, request, _check_url)
        endpoint, secret = endpoints.create(caller.account, caller.mode, caller.user, values.pop("url"), **values)
        return Response(_with_secret(endpoint, secret), status=201)

    @extend_schema(
        operation_id="webhooks_update",
        summary="Change an endpoint",
        tags=["webhooks"],
        request=WebhookChange(partial=True),
        responses=WebhookSerializer,
        extensions=may_fail(CallbackUrlNotAllowed, InvalidState),
        examples=[OpenApiExample("All events", {"event_types": []}, request_only=True)],
    )
    def partial_update(self, request: Request, endpoint_id: str) -> Response:
        """Fields that are left out stay as they are."""
        values = checked(WebhookChange, request, _check_url, partial=True)
        changed = endpoints.change(self.get_object(), caller_of(request).user, values)
        return Response(WebhookSerializer(changed).data)

    @extend_schema(
        operation_id="webhooks_delete", summary="Remove an endpoint", tags=["webhooks"], responses={204: None}
    )
    def destroy(self, request: Request, endpoint_id: str) -> Response:
        """With its log and whatever still waits for it."""
        endpoints.remove(self.get_object(), caller_of(request).user)
        return Response(status=204)

    @extend_schema(
        operation_id="webhooks_rotate_secret",
        summary="Give an endpoint a new secret",
        tags=["webhooks"],
        request=None,
        responses=NewWebhook,
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, endpoint_id: str) -> Response:
        """The old secret signs beside the new one for 24 hours: in that time each body carries both signatures."""
        _require_no_fields(request)
        return Response(_with_secret(*endpoints.rotate_secret(self.get_object(), caller_of(request).user)))

    @extend_schema(
        operation_id="webhooks_test",
        summary="Send a test event",
        tags=["webhooks"],
        request=None,
        responses={202: DeliverySerializer},
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, endpoint_id: str) -> Response:
        """An event of type `ping`; see its delivery for what came of it."""
        _require_no_fields(request)
        endpoint = self.get_object()
        _limit(endpoint)
        return Response(DeliverySerializer(endpoints.ping(endpoint, caller_of(request).user)).data, status=202)

    @extend_schema(
        operation_id="webhooks_enable",
        summary="Switch an endpoint on again",
        tags=["webhooks"],
        request=None,
        responses=WebhookSerializer,
        extensions=may_fail(CallbackUrlNotAllowed, InvalidState),
    )
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, endpoint_id: str) -> Response:
        """What failed before is sent again by `replay`; events while it was off were not kept."""
        _require_no_fields(request)
        return Response(WebhookSerializer(endpoints.enable(self.get_object(), caller_of(request).user)).data)

    @extend_schema(
        operation_id="webhooks_replay",
        summary="Send failed events again",
        tags=["webhooks"],
        request=ReplayRequest,
        responses={202: ReplayAnswer},
        extensions=may_fail(InvalidState),
        examples=[OpenApiExample("Since the outage", {"failed_since": "2027-06-17T18:00:00Z"}, request_only=True)],
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, endpoint_id: str) -> Response:
        """The same `webhook-id` and body, a new timestamp."""
        since = checked(ReplayRequest, request)["failed_since"]
        endpoint = self.get_object()
        _limit(endpoint)
        return Response({"replayed": endpoints.replay_failed(endpoint, caller_of(request).user, since)}, status=202)


@extend_schema_view(
    list=extend_schema(
        operation_id="webhooks_deliveries",
        summary="List an endpoint's deliveries, newest first",
        tags=["webhooks"],
    ),
)
class WebhookDeliveryViewSet(AccountMixin, ListModelMixin, GenericViewSet[WebhookDelivery]):
    """Events for this endpoint. They are kept for 30 days."""

    read_scope = Scope.WEBHOOKS_READ
    write_scope = Scope.WEBHOOKS_WRITE
    serializer_class = DeliverySerializer
    lookup_field = "event_id"
    pagination_class = NewestFirst
    parameters = {
        "list": (
            choice("status", statuses.DELIVERY, "In this status now."),
            choice("event_type", EVENT_TYPES, "Only of this type, e.g. `message.status`."),
            *PAGE,
        )
    }

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        query = query_of(self.request)
        found = _endpoint(self.request, self.kwargs["endpoint_id"]).deliveries.defer("body")
        if query["status"]:
            found = found.filter(state=query["status"].lower())
        if query["event_type"]:
            found = found.filter(event_type=query["event_type"])
        return found

    def get_object(self) -> WebhookDelivery:
        endpoint = _endpoint(self.request, self.kwargs["endpoint_id"])
        found = endpoint.deliveries.filter(event_id=self.kwargs["event_id"]).first()
        if found is None:
            raise NotFound("There is no such delivery.")
        found.endpoint = endpoint
        return found

    @extend_schema(
        operation_id="webhooks_delivery",
        summary="Read a delivery with its tries",
        tags=["webhooks"],
        responses=DeliveryDetail,
    )
    def retrieve(self, request: Request, endpoint_id: str, event_id: str) -> Response:
        """With the event as it is sent, and the last 50 tries."""
        return Response(DeliveryDetail(self.get_object()).data)

    @extend_schema(
        operation_id="webhooks_delivery_replay",
        summary="Send one event again",
        tags=["webhooks"],
        request=None,
        responses={202: DeliverySerializer},
        extensions=may_fail(InvalidState),
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, endpoint_id: str, event_id: str) -> Response:
        """The same `webhook-id` and body, a new timestamp; its tries begin anew."""
        _require_no_fields(request)
        delivery = self.get_object()
        _limit(delivery.endpoint)
        return Response(DeliverySerializer(endpoints.replay(delivery, caller_of(request).user)).data, status=202)


class CallbackSecretViewSet(AccountMixin, ViewSet):
    is_for_one_person = True
    read_scope = Scope.WEBHOOKS_WRITE  # who knows it can forge events
    write_scope = Scope.WEBHOOKS_WRITE

    @extend_schema(
        operation_id="webhooks_callback_secret",
        summary="Read the secret of callback URLs",
        tags=["webhooks"],
        responses=CallbackSecret,
    )
    @action(detail=False, methods=["get"], url_path="callback-secret")
    def read(self, request: Request) -> Response:
        """Made when it is first read or needed; one for all `callback_url`s of the account."""
        return Response({"secret": endpoints.callback_secret(caller_of(request).account)})

    @extend_schema(
        operation_id="webhooks_callback_secret_rotate",
        summary="Change the secret of callback URLs",
        tags=["webhooks"],
        request=None,
        responses=CallbackSecret,
    )
    @read.mapping.post
    def rotate(self, request: Request) -> Response:
        """The old secret signs beside the new one for 24 hours."""
        _require_no_fields(request)
        caller = caller_of(request)
        return Response({"secret": endpoints.rotate_callback_secret(caller.account, caller.user)})


def _endpoints_of(request: Request) -> QuerySet[WebhookEndpoint]:
    """The caller's: of its account and its mode."""
    caller = caller_of(request)
    return WebhookEndpoint.objects.filter(account=caller.account, mode=caller.mode).select_related("account")


def _endpoint(request: Request, endpoint_id: str) -> WebhookEndpoint:
    endpoint = _endpoints_of(request).filter(endpoint_id=endpoint_id).first()
    if endpoint is None:
        raise NotFound("There is no such endpoint.")
    return endpoint


def _check_url(given: dict[str, Any]) -> None:
    """Without asking the network."""
    if url := given.get("url"):
        try:
            destinations.target_of(url)
        except CallbackUrlNotAllowed as error:
            raise destinations.refusal("url", url) from error


def _require_no_fields(request: Request) -> None:
    """The call takes none, so a field in it is a mistake of the caller."""
    StrictSerializer(data=request.data).is_valid(raise_exception=True)


def _with_secret(endpoint: WebhookEndpoint, secret: str) -> dict[str, Any]:
    return {"secret": secret, **WebhookSerializer(endpoint).data}


def _limit(endpoint: WebhookEndpoint) -> None:
    counted = count([Bucket("replay", f"webhook-replay:{endpoint.endpoint_id}", REPLAYS_A_SECOND, 1)])
    if counted.refused:
        raise Throttled(counted.tightest.resets_in)
