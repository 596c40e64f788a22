"""Forms of a person: signing in, the password, the team."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils.translation import gettext_lazy as _

from accounts.choices import Role
from smsapp.forms import BootstrapRenderer, DashboardForm


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


class PasswordForm(PasswordChangeForm):
    """Django's own, in Bootstrap's clothes."""

    default_renderer = BootstrapRenderer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, label_suffix="", **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"
        self.fields["old_password"].widget.attrs.pop("autofocus")  # the page has another form before it


class ProfileForm(DashboardForm):
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=_("E-mail address"))


class MemberForm(DashboardForm):
    """Somebody who is to belong to the account: known here by their e-mail address, or made a person here."""

    email = forms.EmailField(label=_("E-mail address"))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.SENDER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
