"""The console's pages on money: prices, the ledger, and an account's credit."""

from io import TextIOWrapper
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from accounts.billing import prices
from accounts.billing.credit import amount_of, refundable
from accounts.billing.prices import PricesInvalid, RowError, import_prices
from accounts.forms.console import AccountForm, CreditForm, ImportForm, PriceForm, RefundForm
from accounts.models import Account, LedgerEntry, Price
from accounts.security import audit
from smsapp.console.admin import ConsoleAdmin, ReadOnlyAdmin
from smsapp.core.exceptions import AlreadyExists
from smsapp.lib.digits import whole_number


def note_account(account: Account, form: AccountForm, request: HttpRequest, change: bool) -> None:
    """Write down what an operator changed of an account, but for its hold, which is noted by itself."""
    changed = [name for name in form.changed_data if name != "is_active"]
    if changed or not change:
        audit.record(
            "account.changed" if change else "account.created",
            account=account,
            by=request.user,  # type: ignore[arg-type]
            target_type="account",
            target_id=str(account.pk),
            before={name: str(form.initial.get(name)) for name in changed} if change else None,
            after={name: str(form.cleaned_data[name]) for name in changed},
        )


class CreditPages(ConsoleAdmin):
    """What the page of an account has beside its own: its credit, and a page that changes it."""

    @admin.display(description="credit")
    def credit_left(self, account: Account) -> str:
        if not account.is_metered:
            return "not metered"
        return f"{amount_of(account.balance_micro)} {account.currency}, {amount_of(account.reserved_micro)} reserved"

    def get_urls(self) -> list[URLPattern]:
        own = path("<int:pk>/credit/", self.admin_site.admin_view(self.change_credit), name="accounts_account_credit")
        return [own, *super().get_urls()]

    def change_credit(self, request: HttpRequest, pk: int) -> HttpResponse:
        account = self.get_object(request, str(pk))
        if account is None or not self.has_change_permission(request, account):
            raise PermissionDenied
        form = CreditForm(account, request.POST or None)
        back = reverse("admin:accounts_account_change", args=[pk])
        return book(self, request, form, account, f"Credit of {account}", self.credit_left(account), back)


def book(
    page: ConsoleAdmin,
    request: HttpRequest,
    form: CreditForm | RefundForm,
    row: Model,
    title: str,
    words: str,
    back: str,
) -> HttpResponse:
    """Ask what is to be booked, show it, and book it: three steps of one form."""
    is_shown = form.is_valid()
    if is_shown and "confirmed" in request.POST:
        try:
            entry = form.book(request.user)  # type: ignore[arg-type]
        except AlreadyExists:
            page.message_user(request, "This was booked before, and is not booked again.", messages.WARNING)
            return redirect(back)
        if entry:
            done = f"{entry.get_kind_display()}: {amount_of(entry.amount_micro)}"
            page.log_change(request, row, done)
            page.message_user(request, done, messages.SUCCESS)
            return redirect(back)
        is_shown = False
    if is_shown:
        form.hide()
    context = page.admin_site.each_context(request) | {
        "title": title,
        "form": form,
        "opts": page.opts,
        "words": form.words if is_shown else words,
        "back": back,
        "button": "Book it" if is_shown else "Next: show what will be booked",
        "is_shown": is_shown,
    }
    return TemplateResponse(request, "admin/money_form.html", context)


@admin.register(Price)
class PriceAdmin(ConsoleAdmin):
    form = PriceForm
    list_display = ("prefix_shown", "account", "price", "currency", "updated_at")
    list_filter = ("currency", ("account", admin.EmptyFieldListFilter))
    list_select_related = ("account",)
    search_help_text = "Prefix, or account name in full"
    raw_id_fields = ("account",)
    ordering = ("prefix",)
    change_list_template = "admin/price_list.html"

    @admin.display(description="prefix", ordering="prefix")
    def prefix_shown(self, price: Price) -> str:
        return f"+{price.prefix}" if price.prefix else "everywhere else"

    @admin.display(ordering="price_micro")
    def price(self, price: Price) -> str:
        return str(amount_of(price.price_micro))

    def find(self, term: str) -> Q | None:
        return Q(prefix=term.removeprefix("+")) | Q(account__name=term)

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        before = prices.shown(Price.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        prices.note_change(obj, request.user, before)  # type: ignore[arg-type]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: Price) -> None:
        prices.note_removal(obj, request.user)  # type: ignore[arg-type]
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Price]) -> None:
        with transaction.atomic():
            for price in queryset:
                self.delete_model(request, price)

    def get_urls(self) -> list[URLPattern]:
        own = path("import/", self.admin_site.admin_view(self.import_file), name="accounts_price_import")
        return [own, *super().get_urls()]

    def import_file(self, request: HttpRequest) -> HttpResponse:
        """All rows of a file, or none of them and what is wrong with which."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = ImportForm(request.POST or None, request.FILES or None)
        errors: list[RowError] = []
        if form.is_valid():
            data = form.cleaned_data
            lines = TextIOWrapper(data["file"], "utf-8-sig", newline="")
            try:
                count = import_prices(lines, data["account"], data["currency"], request.user)  # type: ignore[arg-type]
            except PricesInvalid as refused:
                form.add_error("file", refused.message)
                errors = refused.errors
            else:
                self.message_user(request, f"{count} prices set.", messages.SUCCESS)
                return redirect("admin:accounts_price_changelist")
        context = self.admin_site.each_context(request) | {
            "title": "Import prices",
            "form": form,
            "opts": self.opts,
            "errors": errors,
            "back": reverse("admin:accounts_price_changelist"),
            "button": "Import",
        }
        return TemplateResponse(request, "admin/money_form.html", context)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "account", "kind", "amount", "credit_after", "note", "campaign_id", "user")
    list_filter = ("kind",)
    list_select_related = ("account", "user")
    search_help_text = "Account name in full, or the number of a campaign"
    fields = (
        "account",
        "kind",
        "amount",
        "credit_after",
        "campaign_id",
        "note",
        "user",
        "refund_of",
        "refund",
        "created_at",
    )
    readonly_fields = ("refund",)

    @admin.display(ordering="amount_micro")
    def amount(self, entry: LedgerEntry) -> str:
        return f"{amount_of(entry.amount_micro):+f} {entry.account.currency}"

    @admin.display(description="can be given back", empty_value="nothing")
    def refund(self, entry: LedgerEntry) -> str | None:
        if not (left := refundable(entry)):
            return None
        url = reverse("admin:accounts_ledgerentry_refund", args=[entry.pk])
        return format_html('{} <a href="{}">Give back</a>', amount_of(left), url)

    def get_urls(self) -> list[URLPattern]:
        own = path("<int:pk>/refund/", self.admin_site.admin_view(self.give_back), name="accounts_ledgerentry_refund")
        return [own, *super().get_urls()]

    def give_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Whoever may change an account's credit may give a charge back."""
        entry = self.get_object(request, str(pk))
        if entry is None or not request.user.has_perm("accounts.change_account") or not refundable(entry):
            raise PermissionDenied
        form = RefundForm(entry, request.POST or None)
        back = reverse("admin:accounts_ledgerentry_change", args=[pk])
        words = f"{entry.note}: {amount_of(-entry.amount_micro)} {entry.account.currency} charged."
        return book(self, request, form, entry, f"Give a charge of {entry.account} back", words, back)

    @admin.display(description="credit after it")
    def credit_after(self, entry: LedgerEntry) -> str:
        return str(amount_of(entry.balance_micro))

    def find(self, term: str) -> Q | None:
        by_name = Q(account__name=term)
        number = whole_number(term)
        return by_name if number is None else by_name | Q(campaign_id=number)
