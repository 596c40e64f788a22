"""Forms of the uploads app."""

from typing import Any

from django import forms

from smsapp.lib.phone import RefusedNumber, parse_number
from uploads.choices import RowReason
from uploads.models import Suppression
from uploads.suppressions import phone_hash


class SuppressionForm(forms.ModelForm):
    """A number never to be texted, in any spelling of the account's default country."""

    phone_number = forms.CharField(max_length=40, help_text="In any spelling; kept as a hash.")

    class Meta:
        model = Suppression
        fields = ("account", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        account, raw = cleaned.get("account"), cleaned.get("phone_number")
        if account and raw:
            try:
                cleaned["phone_number"] = parse_number(raw, account.default_country)
            except RefusedNumber as refusal:
                self.add_error("phone_number", str(RowReason(refusal.reason).label))
            else:
                self.instance.phone_hash = phone_hash(account.pk, cleaned["phone_number"])
                self.instance.phone_hint = cleaned["phone_number"][-2:]
        return cleaned
