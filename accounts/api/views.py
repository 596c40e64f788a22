"""`GET /account/balance`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.caller import caller_of
from accounts.choices import Scope
from messaging.balance import provider_balance
from smsapp.api.views import AccountMixin


class BalanceAnswer(serializers.Serializer[Any]):
    balance = serializers.DecimalField(max_digits=18, decimal_places=6, help_text="As the provider states it.")
    currency = serializers.CharField()
    gateway = serializers.CharField()
    as_of = serializers.DateTimeField(help_text="Asked at most every five minutes.")


class BalanceView(AccountMixin, APIView):
    read_scope = Scope.ACCOUNT_READ

    @extend_schema(
        operation_id="account_balance", summary="Balance at the provider", tags=["account"], responses=BalanceAnswer
    )
    def get(self, request: Request) -> Response:
        return Response(BalanceAnswer(provider_balance(caller_of(request).mode)).data)
