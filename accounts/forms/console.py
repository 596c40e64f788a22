"""Forms of the console's pages on accounts."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms

from accounts.billing import credit
from accounts.billing.credit import MICRO, amount_of
from accounts.models import Account, ApiKey, Invitation, LedgerEntry, Price, SenderId, User
from accounts.models.people import normal_email
from accounts.senders import sender_kind
from smsapp.core.exceptions import AlreadyExists, ValidationError
from smsapp.lib.phone import is_country

MAX_FILE = 5 * 1024 * 1024  # bytes of a price list


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


class InvitationForm(forms.ModelForm):
    """A new invitation, for somebody who does not belong to the account."""

    class Meta:
        model = Invitation
        fields = ("account", "email", "role")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        account, email = data.get("account"), data.get("email")
        if account and email and account.users.filter(email=normal_email(email)).exists():
            self.add_error("email", "This person belongs to the account already.")
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
    daily_spend_limit_micro = AmountInput(
        label="Daily spending limit",
        min_value=0,
        required=False,
        help_text="At it the account is put on hold. Empty: none.",
    )
    approval_above_micro = AmountInput(
        label="Approval above cost",
        min_value=0,
        required=False,
        help_text="Campaigns that cost more need a second person. Empty: none does.",
    )

    class Meta:
        model = Account
        fields = (
            "name",
            "default_country",
            "is_active",
            "is_metered",
            "currency",
            "low_balance_micro",
            "daily_spend_limit_micro",
            "daily_message_limit",
            "approval_above",
            "approval_above_micro",
            "rate",
            "quiet_from",
            "quiet_until",
            "allowed_countries",
            "recipient_hourly_limit",
            "recipient_daily_limit",
            "guards_numbers",
            "opt_out_reply",
        )

    def clean_allowed_countries(self) -> str:
        codes = self.cleaned_data["allowed_countries"].upper().replace(",", " ").split()
        if unknown := [code for code in codes if not is_country(code)]:
            raise forms.ValidationError(f"No countries: {', '.join(unknown)}. ISO codes look like DE AT CH.")
        return " ".join(codes)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if (data.get("quiet_from") is None) != (data.get("quiet_until") is None):
            self.add_error("quiet_until", "Give both the start and the end of the quiet hours.")
        return data

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if self.instance.pk and currency != self.instance.currency and self.instance.ledger.exists():
            raise forms.ValidationError("The account has money in another currency.")
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise forms.ValidationError("Three letters, such as EUR.")
        return currency


class BookingForm(forms.Form):
    """An amount of money and why. It is shown before it is booked, and booked once however often it is sent."""

    amount = AmountInput()
    reason = forms.CharField(max_length=200, help_text="The customer sees it in the ledger.")
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, initial={"token": uuid4().hex})

    def book(self, by: User) -> LedgerEntry | None:
        """Change the credit; None, with errors on the form, if that is refused. Raises AlreadyExists."""
        try:
            return self._book(by)
        except AlreadyExists:
            raise
        except ValidationError as error:
            self.add_error(error.details["field"], error.message)
            return None

    def hide(self) -> None:
        """What was filled in goes along, and cannot be changed any more."""
        for field in self.fields.values():
            field.widget = field.hidden_widget()

    def _book(self, by: User) -> LedgerEntry:
        raise NotImplementedError


class CreditForm(BookingForm):
    """A top-up, or a correction, which may be below zero."""

    kind = forms.ChoiceField(choices=[("top_up", "Top-up"), ("correct", "Correction")])
    field_order = ("kind", "amount", "reason", "token")

    def __init__(self, account: Account, data: Any = None) -> None:
        super().__init__(data)
        self.account = account
        self.fields["amount"].help_text = "A correction below zero takes credit away."

    @property
    def words(self) -> str:
        """What is asked before it is booked."""
        data, now = self.cleaned_data, self.account.balance_micro
        kind = dict(self.fields["kind"].choices)[data["kind"]]  # type: ignore[attr-defined]
        return (
            f"{kind} of {amount_of(data['amount']):+f} {self.account.currency} for {self.account}: "
            f"the credit goes from {amount_of(now)} to {amount_of(now + data['amount'])}."
        )

    def _book(self, by: User) -> LedgerEntry:
        data = self.cleaned_data
        act = credit.top_up if data["kind"] == "top_up" else credit.correct
        return act(self.account, data["amount"], data["reason"], by, data["token"])


class RefundForm(BookingForm):
    """A charge is given back, or a part of it."""

    def __init__(self, charge: LedgerEntry, data: Any = None) -> None:
        super().__init__(data)
        self.charge = charge
        self.initial["amount"] = credit.refundable(charge)

    @property
    def words(self) -> str:
        charge, amount = self.charge, amount_of(self.cleaned_data["amount"])
        return f"Give {amount} {charge.account.currency} back to {charge.account}, of the charge: {charge.note}."

    def _book(self, by: User) -> LedgerEntry:
        data = self.cleaned_data
        return credit.refund(self.charge, data["amount"], data["reason"], by, data["token"])


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
    currency = forms.RegexField(r"^[A-Z]{3}$", initial="EUR", help_text="Of rows that name none, in the general list.")

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise forms.ValidationError("The file is larger than 5 MB.")
        return file
