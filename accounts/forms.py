"""Forms of the accounts app."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from accounts.models import ApiKey, SenderId
from accounts.services import sender_kind
from smsapp.exceptions import ValidationError


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
