"""`/api-keys`: the credentials of machines."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access.api_keys import (
    MAX_NETWORKS,
    Issuer,
    issue_api_key,
    key_of,
    keys_of,
    read_options,
    revoke_api_key,
    rotate_api_key,
    update_api_key,
)
from accounts.access.principal import Caller, caller_of
from accounts.choices import Mode, Scope
from accounts.models import ApiKey
from smsapp.api.fields import ZonedDateTimeField
from smsapp.api.openapi.schema import may_fail
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import PAGE
from smsapp.api.serializers import ModelAnswer, StrictSerializer, checked
from smsapp.api.views import AccountMixin
from smsapp.core.exceptions import InvalidState

MAX_OVERLAP = 168  # hours


class ApiKeyChange(StrictSerializer):
    name = serializers.CharField(max_length=80, help_text="For people, e.g. `Shop backend`.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices),
        min_length=1,
        max_length=len(Scope),
        help_text="What the key may do: no more than the person who makes or changes it. By default everything a "
        "sender may.",
    )
    allowed_networks = serializers.ListField(
        child=serializers.CharField(max_length=50),
        max_length=MAX_NETWORKS,
        required=False,
        default=list,
        help_text="IPv4 and IPv6 networks from which the key may be used, e.g. `203.0.113.0/24`. Empty: from anywhere.",
    )
    rate_limit = serializers.IntegerField(
        min_value=1,
        max_value=settings.API_RATE_KEY,
        allow_null=True,
        help_text="Calls a minute, if fewer than the installation allows each key. null: as many as that.",
    )
    expires_at = ZonedDateTimeField(
        allow_null=True, help_text="From when on the key is refused, e.g. `2027-06-17T18:00:00Z`. null: never."
    )


class ApiKeyRequest(ApiKeyChange):
    mode = serializers.ChoiceField(
        Mode.choices, help_text="`test`: what is sent goes to the simulator, costs nothing and is in no statistics."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        for name in ("scopes", "rate_limit", "expires_at"):
            fields[name].required = False
        return fields


class RotateRequest(StrictSerializer):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=MAX_OVERLAP,
        default=24,
        help_text="Hours for which the old key still works; 24 if left out.",
    )


class ApiKeySerializer(ModelAnswer[ApiKey]):
    key_id = serializers.CharField(
        source="prefix", help_text="The part of the key between its second and third underscore."
    )
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), help_text="What it may do.")
    allowed_networks = serializers.ListField(
        child=serializers.CharField(), help_text="Networks it may be used from. Empty: from anywhere."
    )
    made_by = serializers.CharField(source="user.username", help_text="Who made it, and whose rights limit it.")
    replaced_by_key_id = serializers.CharField(
        source="replaced_by.prefix", default=None, allow_null=True, help_text="The key it was rotated to, or null."
    )
    is_usable = serializers.BooleanField(help_text="Neither revoked nor expired.")

    class Meta:
        model = ApiKey
        fields = (
            "key_id",
            "name",
            "mode",
            "scopes",
            "allowed_networks",
            "rate_limit",
            "made_by",
            "is_usable",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "replaced_by_key_id",
        )
        read_only_fields = fields
        extra_kwargs = {
            "name": {"help_text": "For people."},
            "mode": {"help_text": "`live` or `test`."},
            "rate_limit": {"help_text": "Calls a minute; null: as many as the installation allows each key."},
            "created_at": {"help_text": "When it was made."},
            "expires_at": {"help_text": "From when on it is refused; null: never."},
            "revoked_at": {"help_text": "When it was revoked; null: it was not."},
            "last_used_at": {"help_text": "Its last use, true to a minute; null: never."},
        }


class NewApiKey(ApiKeySerializer):
    api_key = serializers.CharField(help_text="The key itself: shown now and never again. Keep it secret.")

    class Meta(ApiKeySerializer.Meta):
        fields = ("api_key", *ApiKeySerializer.Meta.fields)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


EXAMPLE = OpenApiExample(
    "A test key for one network",
    {
        "name": "Shop backend",
        "mode": "test",
        "scopes": ["messages:send", "messages:read"],
        "allowed_networks": ["203.0.113.0/24"],
    },
    request_only=True,
)


@extend_schema_view(
    list=extend_schema(operation_id="api_keys_list", summary="List API keys, newest first", tags=["api-keys"]),
    retrieve=extend_schema(operation_id="api_keys_read", summary="Read an API key", tags=["api-keys"]),
)
class ApiKeyViewSet(AccountMixin, ListModelMixin, RetrieveModelMixin, GenericViewSet[ApiKey]):
    """Keys of the account; a test key sees and makes test keys only."""

    is_for_one_person = True
    read_scope = Scope.KEYS_READ
    write_scope = Scope.KEYS_WRITE
    serializer_class = ApiKeySerializer
    lookup_field = "key_id"
    pagination_class = NewestFirst
    parameters = {"list": PAGE}

    def get_queryset(self) -> QuerySet[ApiKey]:
        return keys_of(_issuer(caller_of(self.request)))

    def get_object(self) -> ApiKey:
        return key_of(_issuer(caller_of(self.request)), self.kwargs["key_id"])

    @extend_schema(
        operation_id="api_keys_create",
        summary="Make an API key",
        tags=["api-keys"],
        request=ApiKeyRequest,
        responses={201: NewApiKey},
        examples=[EXAMPLE],
        extensions=may_fail(InvalidState),
    )
    def create(self, request: Request) -> Response:
        """Its text is in this answer only."""
        issuer = _issuer(caller_of(request))
        data = _typed(checked(ApiKeyRequest, request, lambda given: read_options(issuer, **_typed(given))))
        key, text = issue_api_key(issuer, data.pop("name"), data.pop("mode"), **data)
        return _with_text(key, text)

    @extend_schema(
        operation_id="api_keys_update",
        summary="Change an API key",
        tags=["api-keys"],
        request=ApiKeyChange(partial=True),
        responses=ApiKeySerializer,
        extensions=may_fail(InvalidState),
        examples=[OpenApiExample("Fewer calls", {"rate_limit": 60}, request_only=True)],
    )
    def partial_update(self, request: Request, key_id: str) -> Response:
        """What is left out stays. Effective with the key's next call."""
        issuer = _issuer(caller_of(request))
        data = checked(ApiKeyChange, request, lambda given: read_options(issuer, **_typed(given)), partial=True)
        key = update_api_key(issuer, key_id, **_typed(data))
        return Response(ApiKeySerializer(key).data)

    @extend_schema(
        operation_id="api_keys_rotate",
        summary="Replace an API key",
        tags=["api-keys"],
        request=RotateRequest,
        responses={201: NewApiKey},
        extensions=may_fail(InvalidState),
        examples=[OpenApiExample("Within the hour", {"overlap_hours": 1}, request_only=True)],
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, key_id: str) -> Response:
        """A new key with the same properties; the old one works on for `overlap_hours`."""
        overlap = timedelta(hours=checked(RotateRequest, request)["overlap_hours"])
        return _with_text(*rotate_api_key(_issuer(caller_of(request)), key_id, overlap))

    @extend_schema(
        operation_id="api_keys_revoke",
        summary="Revoke an API key",
        tags=["api-keys"],
        responses={200: ApiKeySerializer},
    )
    def destroy(self, request: Request, key_id: str) -> Response:
        """For good, effective with the next call. The key stays in the list."""
        key = revoke_api_key(self.get_object(), caller_of(request).user)
        return Response(ApiKeySerializer(key).data)


def _issuer(caller: Caller) -> Issuer:
    return Issuer(caller.account, caller.user, caller.mode, caller.scopes)


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    if "scopes" in data:
        data["scopes"] = [Scope(scope) for scope in data["scopes"]]
    if "mode" in data:
        data["mode"] = Mode(data["mode"])
    return data


def _with_text(key: ApiKey, text: str) -> Response:
    return Response({"api_key": text, **ApiKeySerializer(key).data}, status=201)
