"""Forms of the dashboard's pages of an account: settings, senders, keys, webhooks."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.choices import Mode, Scope
from accounts.forms.console import AmountInput
from accounts.models import Account
from accounts.webhooks.endpoints import CHOOSABLE
from smsapp.dashboard.forms import CountryField, DashboardForm

TIME = {"type": "time"}


class SettingsForm(DashboardForm):
    """What an account decides on itself."""

    name = forms.CharField(label=_("Name of the account"), max_length=120)
    default_country = CountryField(
        label=_("Country"), help_text=_("Numbers without a country code are read as this country’s.")
    )
    quiet_from = forms.TimeField(
        label=_("Send nothing in bulk from"),
        required=False,
        widget=forms.TimeInput(attrs=TIME, format="%H:%M"),
        help_text=_("On the recipient’s clock. Empty: as is usual in the country."),
    )
    quiet_until = forms.TimeField(label=_("until"), required=False, widget=forms.TimeInput(attrs=TIME, format="%H:%M"))
    opt_out_reply = forms.CharField(
        label=_("Answer to a STOP"),
        required=False,
        max_length=160,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Sent once to a person who opts out. Leave empty to send nothing."),
    )
    approval_above = forms.IntegerField(
        label=_("A second person approves campaigns above"),
        required=False,
        min_value=0,
        max_value=10**9,
        help_text=_("Recipients. Empty: never."),
    )
    low_balance_micro = AmountInput(
        label=_("Tell me when the balance falls below"), required=False, min_value=0, help_text=_("0: never.")
    )

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        names = [name for name in self.base_fields if hasattr(account, name)]
        super().__init__(*args, initial={name: getattr(account, name) for name in names}, **kwargs)
        if not account.is_metered:
            del self.fields["low_balance_micro"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if (data.get("quiet_from") is None) != (data.get("quiet_until") is None):
            self.add_error("quiet_until", _("Give both the start and the end of the quiet hours."))
        elif data.get("quiet_from") is not None and data["quiet_from"] == data["quiet_until"]:
            self.add_error("quiet_until", _("Quiet hours cannot start and end at the same time."))
        if "low_balance_micro" in data:
            data["low_balance_micro"] = data["low_balance_micro"] or 0
        return data


class SenderForm(DashboardForm):
    sender_id = forms.CharField(
        label=_("Sender"),
        max_length=16,
        help_text=_("A name of up to 11 letters, digits and spaces; a number with its +; or a short code."),
    )


class KeyForm(DashboardForm):
    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Where it is used, e.g. “Shop backend”."))
    mode = forms.ChoiceField(
        label=_("Mode"),
        choices=[(Mode.TEST, _("Test: sends nothing")), (Mode.LIVE, _("Live"))],
        initial=Mode.TEST,
        widget=forms.RadioSelect,
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=[(scope.value, scope.label) for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
    )
    allowed_networks = forms.CharField(
        label=_("Only from these networks"),
        required=False,
        max_length=1000,
        help_text=_("Such as 203.0.113.0/24, with spaces between them. Empty: from anywhere."),
    )
    expires_on = forms.DateField(
        label=_("Ends on"), required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text=_("Empty: never.")
    )

    def clean_allowed_networks(self) -> list[str]:
        return str(self.cleaned_data["allowed_networks"]).replace(",", " ").split()

    @property
    def expires_at(self) -> datetime | None:
        day = self.cleaned_data["expires_on"]
        return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone()) if day else None


class EndpointForm(DashboardForm):
    url = forms.CharField(
        label=_("Address"), max_length=500, widget=forms.URLInput, help_text=_("https://, reachable from here.")
    )
    description = forms.CharField(label=_("Description"), required=False, max_length=120)
    event_types = forms.MultipleChoiceField(
        label=_("Events"),
        required=False,
        choices=[(kind.value, kind.label) for kind in CHOOSABLE],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Choose none to receive all of them."),
    )
    show_numbers = forms.BooleanField(label=_("Phone numbers in full"), required=False)
