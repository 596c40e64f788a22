"""`GET /account/balance`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import key_of
from messaging.balance import provider_balance


class BalanceAnswer(serializers.Serializer[Any]):
    balance = serializers.DecimalField(max_digits=18, decimal_places=6, help_text="As the provider states it.")
    currency = serializers.CharField()
    gateway = serializers.CharField()
    as_of = serializers.DateTimeField(help_text="Asked at most every five minutes.")


class BalanceView(APIView):
    @extend_schema(
        operation_id="account_balance", summary="Balance at the provider", tags=["account"], responses=BalanceAnswer
    )
    def get(self, request: Request) -> Response:
        return Response(BalanceAnswer(provider_balance(key_of(request).mode)).data)
