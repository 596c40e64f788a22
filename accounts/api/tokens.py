"""`/auth/token`: signing in to the API as a person."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access.tokens import TokenPair, check_password, refresh, revoke, sign_in
from accounts.choices import Role
from smsapp.api.openapi.schema import may_fail
from smsapp.api.query_params import read_query
from smsapp.api.serializers import Answer, StrictSerializer
from smsapp.api.throttling import Limited, limit_address
from smsapp.core.exceptions import AuthenticationRefused, LoginThrottled, PermissionDenied, TokenExpired, TokenInvalid

MAX_PASSWORD = 4096
MAX_TOKEN = 4096
TOKEN = OpenApiExample("The latest one", {"refresh_token": "eyJhbGciOiJIUzI1NiIs…"}, request_only=True)


class SignInRequest(StrictSerializer):
    username = serializers.CharField(max_length=254, help_text="User name or e-mail address.")
    password = serializers.CharField(
        max_length=MAX_PASSWORD,
        trim_whitespace=False,
        style={"input_type": "password"},
        help_text="As on the sign-in page; failures are counted together.",
    )
    account_id = serializers.CharField(
        required=False,
        max_length=16,
        help_text="Which of several accounts is meant; left out: the one they have belonged to for longest. For any "
        "other the error names those there are.",
    )


class RefreshRequest(StrictSerializer):
    refresh_token = serializers.CharField(max_length=MAX_TOKEN, help_text="The latest one; each is good once.")


class TokenAnswer(Answer):
    access_token = serializers.CharField(help_text="For the header `Authorization: Bearer …`; acts in live mode.")
    token_type = serializers.CharField(default="Bearer", help_text="Always `Bearer`.")
    expires_in = serializers.IntegerField(help_text="Seconds for which the access token is good.")
    refresh_token = serializers.CharField(help_text="Gets the next pair, once.")
    refresh_expires_at = serializers.DateTimeField(help_text="When one has to sign in again.")
    account_id = serializers.CharField(source="account.public_id", help_text="The account the tokens act in.")
    role = serializers.ChoiceField(Role.choices, help_text="The person's role there; it decides what may be done.")


class RevokeAnswer(Answer):
    revoked = serializers.BooleanField(help_text="Always true.")


class TokenDoor(Limited, APIView):
    """Open to everybody, and so counted by address before anything is looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        limit_address(request, "sign-in", settings.API_RATE_REFUSED)
        read_query(request, ())


class TokenView(TokenDoor):
    @extend_schema(
        operation_id="auth_token",
        summary="Sign in",
        tags=["auth"],
        auth=[],
        request=SignInRequest,
        responses=TokenAnswer,
        extensions=may_fail(AuthenticationRefused, LoginThrottled, PermissionDenied),
        examples=[
            OpenApiExample("A person", {"username": "anna@example.com", "password": "…"}, request_only=True),
        ],
    )
    def post(self, request: Request) -> Response:
        """Programs use an API key; this is for people and the applications they use."""
        form = SignInRequest(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        user = check_password(request, data["username"], data["password"])
        return _answer(sign_in(user, data.get("account_id")))


class RefreshView(TokenDoor):
    @extend_schema(
        operation_id="auth_token_refresh",
        summary="Exchange a refresh token",
        tags=["auth"],
        auth=[],
        request=RefreshRequest,
        examples=[TOKEN],
        extensions=may_fail(TokenExpired, TokenInvalid, PermissionDenied),
        responses=TokenAnswer,
    )
    def post(self, request: Request) -> Response:
        """A refresh token is good once: one that comes again ends the sign-in with all its tokens."""
        return _answer(refresh(_refresh_token(request)))


class RevokeView(TokenDoor):
    @extend_schema(
        operation_id="auth_token_revoke",
        summary="Sign out",
        tags=["auth"],
        auth=[],
        request=RefreshRequest,
        examples=[TOKEN],
        extensions=may_fail(TokenExpired, TokenInvalid, PermissionDenied),
        responses=RevokeAnswer,
    )
    def post(self, request: Request) -> Response:
        """Ends the sign-in of this refresh token with all its tokens, at once."""
        revoke(_refresh_token(request))
        return Response({"revoked": True})


def _refresh_token(request: Request) -> str:
    form = RefreshRequest(data=request.data)
    form.is_valid(raise_exception=True)
    token: str = form.validated_data["refresh_token"]
    return token


def _answer(pair: TokenPair) -> Response:
    response = Response(TokenAnswer(pair).data)
    response.headers["Cache-Control"] = "no-store"
    return response
