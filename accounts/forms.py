"""Forms of the accounts app."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from accounts import credit
from accounts.credit import MICRO, amount_of
from accounts.models import Account, ApiKey, LedgerEntry, Price, SenderId, User
from accounts.senders import sender_kind
from smsapp.exceptions import ValidationError

MAX_FILE = 5 * 1024 * 1024  # bytes of a price list


class SignInForm(AuthenticationForm):
    """Django's own, in Bootstrap's clothes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "form-control"
            if self.is_bound and self.non_field_errors():
                field.widget.attrs["aria-describedby"] = "sign-in-error"
            if name in self.errors:
                field.widget.attrs["class"] += " is-invalid"


class ApiKeyForm(forms.ModelForm):
    """A new key, for a person who belongs to the account: the key may what the person may."""

    class Meta:
        model = ApiKey
        fields = ("account", "user", "name", "mode")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        account, user = data.get("account"), data.get("user")
        if account and user and not user.memberships.filter(account=account).exists():
            self.add_error("user", "This person does not belong to the account.")
        return data


class SenderIdForm(forms.ModelForm):
    """A new sender: its kind follows from its value."""

    class Meta:
        model = SenderId
        fields = ("account", "value")

    def clean_value(self) -> str:
        value: str = self.cleaned_data["value"]
        try:
            self.instance.kind = sender_kind(value)
        except ValidationError as error:
            raise forms.ValidationError(error.message) from error
        return value


class AmountInput(forms.DecimalField):
    """An amount with up to six decimals; cleaned, millionths."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=16, decimal_places=6, **options)

    def clean(self, value: Any) -> Any:
        amount: Decimal | None = super().clean(value)
        return None if amount is None else int(amount * MICRO)

    def prepare_value(self, value: Any) -> Any:
        return amount_of(value) if isinstance(value, int) else value


class AccountForm(forms.ModelForm):
    low_balance_micro = AmountInput(
        label="Low balance", min_value=0, help_text="Below this the account is told. 0: never."
    )

    class Meta:
        model = Account
        fields = (
            "name", "default_country", "is_active", "is_metered", "currency", "low_balance_micro",
            "daily_message_limit", "approval_above",
        )  # fmt: skip

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if self.instance.pk and currency != self.instance.currency and self.instance.ledger.exists():
            raise forms.ValidationError("The account has money in another currency.")
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise forms.ValidationError("Three letters, such as EUR.")
        return currency


class CreditForm(forms.Form):
    """A top-up, or a correction, which may be below zero."""

    kind = forms.ChoiceField(choices=[("top_up", "Top-up"), ("correct", "Correction")])
    amount = AmountInput(help_text="A correction below zero takes credit away.")
    reason = forms.CharField(max_length=200, help_text="The customer sees it in the ledger.")

    def book(self, account: Account, by: User) -> LedgerEntry | None:
        """Change the account's credit; None, with errors on the form, if that is refused."""
        act = credit.top_up if self.cleaned_data["kind"] == "top_up" else credit.correct
        try:
            return act(account, self.cleaned_data["amount"], self.cleaned_data["reason"], by)
        except ValidationError as error:
            self.add_error(error.details["field"], error.message)
            return None


class PriceForm(forms.ModelForm):
    price_micro = AmountInput(label="Price", min_value=0, max_value=1000, help_text="Of one segment.")

    class Meta:
        model = Price
        fields = ("account", "prefix", "currency", "price_micro")

    def clean_prefix(self) -> str:
        prefix: str = self.cleaned_data["prefix"].removeprefix("+")
        if prefix and not (prefix.isascii() and prefix.isdigit()):
            raise forms.ValidationError("Digits only, or nothing for everywhere else.")
        return prefix


class ImportForm(forms.Form):
    file = forms.FileField(help_text="CSV: prefix,price[,currency] in each row, the price of one segment.")
    account = forms.ModelChoiceField(
        Account.objects.order_by("name"), required=False, help_text="Empty: the general price list."
    )
    currency = forms.RegexField(
        r"^[A-Z]{3}$", initial="EUR", help_text="Of rows that name none, in the general list."
    )  # fmt: skip

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise forms.ValidationError("The file is larger than 5 MB.")
        return file
