"""`GET /account/balance`, the account's own credit, and `GET /account/ledger`, what moved it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access.principal import caller_of
from accounts.billing.credit import amount_of, entry_id
from accounts.choices import LedgerKind, Scope
from accounts.models import LedgerEntry
from campaigns.models import Campaign
from smsapp.api.pagination import NewestFirst
from smsapp.api.query_params import CREATED, PAGE, choice, in_time, query_of, text
from smsapp.api.serializers import Answer, ModelAnswer
from smsapp.api.views import AccountMixin


class AmountField(serializers.DecimalField):
    """Millionths of a currency, shown as an amount."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=25, decimal_places=6, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(amount_of(value))


class BalanceAnswer(Answer):
    metered = serializers.BooleanField(
        help_text="Whether this account pays from prepaid credit; if not, all else is null."
    )
    balance = AmountField(allow_null=True, help_text="Credit that is left for new sends, e.g. `12.340000`.")
    reserved = AmountField(allow_null=True, help_text="Set aside for what was accepted and is not charged yet.")
    low_balance_threshold = AmountField(
        allow_null=True, help_text="Below this the event `balance.low` is sent, once each time; null: never."
    )
    currency = serializers.CharField(allow_null=True, help_text="ISO 4217, e.g. `EUR`.")


@extend_schema_view(
    get=extend_schema(
        operation_id="account_balance", summary="Read the account's credit", tags=["account"], responses=BalanceAnswer
    )
)
class BalanceView(AccountMixin, APIView):
    """Prepaid credit, the same for keys of either mode. Test mode costs nothing."""

    read_scope = Scope.ACCOUNT_READ

    def get(self, request: Request) -> Response:
        account = caller_of(request).account
        shown: dict[str, object] = dict.fromkeys(BalanceAnswer().fields)
        shown["metered"] = account.is_metered
        if account.is_metered:
            shown |= {
                "balance": account.balance_micro,
                "reserved": account.reserved_micro,
                "low_balance_threshold": account.low_balance_micro or None,
                "currency": account.currency,
            }
        return Response(BalanceAnswer(shown).data)


class LedgerEntrySerializer(ModelAnswer[LedgerEntry]):
    entry_id = serializers.SerializerMethodField(help_text="Its id, e.g. `led-3f1c…`.")
    kind = serializers.ChoiceField(
        LedgerKind.choices,
        help_text="`charge`: for what a provider took; `refund`: where it proved not to have, or it was given back.",
    )
    amount = AmountField(source="amount_micro", help_text="Signed: what it adds to the credit, e.g. `-0.075000`.")
    credit_after = AmountField(source="balance_micro", help_text="Balance and reserved credit together, after it.")
    currency = serializers.CharField(source="account.currency", help_text="ISO 4217, e.g. `EUR`.")
    bulk_id = serializers.SerializerMethodField(
        help_text="The send or campaign that it is for; null: none, as of a top-up."
    )
    note = serializers.CharField(
        allow_null=True, help_text="Segments charged, or the reason of a top-up or correction; or null."
    )
    created_at = serializers.DateTimeField(
        help_text="When it was posted: within seconds for `/sms/send`, hourly for a campaign that runs."
    )

    class Meta:
        model = LedgerEntry
        fields = ("entry_id", "kind", "amount", "credit_after", "currency", "bulk_id", "note", "created_at")
        read_only_fields = fields

    def get_entry_id(self, entry: LedgerEntry) -> str:
        return entry_id(entry)

    def get_bulk_id(self, entry: LedgerEntry) -> str | None:
        return self.context["bulk_ids"].get(entry.campaign_id)


@extend_schema_view(
    get=extend_schema(
        operation_id="account_ledger",
        summary="List movements of credit, newest first",
        tags=["account"],
    )
)
class LedgerView(AccountMixin, generics.ListAPIView[LedgerEntry]):
    """What was charged, topped up and corrected; their sum is balance and reserved credit together. Reserving is no
    movement: it shows in the balance alone."""

    read_scope = Scope.ACCOUNT_READ
    serializer_class = LedgerEntrySerializer
    pagination_class = NewestFirst
    parameters = {
        "get": (
            choice("kind", LedgerKind.values, "Only entries of this kind."),
            text("bulk_id", "Only entries of this send or campaign."),
            *CREATED,
            *PAGE,
        )
    }

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        query = query_of(self.request)
        account = caller_of(self.request).account
        entries = in_time(LedgerEntry.objects.filter(account=account).select_related("account"), self.request)
        if query["kind"]:
            entries = entries.filter(kind=query["kind"])
        if query["bulk_id"]:
            known = Campaign.objects.filter(account=account, bulk_id=query["bulk_id"][:40])
            entries = entries.filter(campaign_id__in=known.values("pk"))
        return entries

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        ids = {entry.campaign_id for entry in page if entry.campaign_id is not None}
        bulk_ids = dict(Campaign.objects.filter(pk__in=ids).values_list("pk", "bulk_id")) if ids else {}
        context = {**self.get_serializer_context(), "bulk_ids": bulk_ids}
        return self.get_paginated_response(LedgerEntrySerializer(page, many=True, context=context).data)
