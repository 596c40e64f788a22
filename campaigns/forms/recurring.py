"""The form of a recurring campaign."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from campaigns.forms.rule import QuietForm, RuleForm
from messaging.forms.send import sender_choices
from smsapp.dashboard.forms import WallTimeField, moment_of


class RecurringForm(RuleForm, QuietForm):
    name = forms.CharField(label=_("Name of the campaign"), max_length=120)
    sender_id = forms.ChoiceField(label=_("From"), required=False)
    message = forms.CharField(
        label=_("Text"), strip=False, widget=forms.Textarea(attrs={"rows": 6, "data-compose": ""})
    )
    ends_at = WallTimeField(label=_("Not after"), required=False, help_text=_("Empty: until you end it."))
    valid_minutes = forms.IntegerField(
        label=_("Minutes after which what is left is given up"),
        required=False,
        min_value=5,
        max_value=60 * 24 * 30,
        help_text=_("Empty: everything is sent, however late."),
    )

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sender_id"].choices = sender_choices(account)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        self.clean_rule(data)
        return data

    def changes(self) -> dict[str, Any]:
        """Fields of a RecurringCampaign by name, the text as it was written."""
        data = self.cleaned_data
        names = ("name", "sender_id", "message", "valid_minutes", "quiet_from", "quiet_until")
        return {name: data[name] for name in names} | {"ends_at": moment_of(data["ends_at"], data["zone"] or "UTC")}
