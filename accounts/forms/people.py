"""Forms of a person: signing in, the password, the team."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.utils.translation import gettext_lazy as _

from accounts.access import guessing
from accounts.access.people import username_of
from accounts.choices import Role
from accounts.models import User
from accounts.models.people import normal_email
from smsapp.core.exceptions import LoginThrottled
from smsapp.dashboard.forms import BootstrapRenderer, DashboardForm


class ByNameOrEmail(AuthenticationForm):
    """Django's own; a person is found by their user name or their e-mail address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("User name or e-mail address")
        self.fields["username"].widget.attrs["maxlength"] = 254  # of an e-mail address

    def clean_username(self) -> str:
        return username_of(self.cleaned_data["username"])

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if name is None or not self.cleaned_data.get("password") or self.request is None:
            return super().clean()
        try:
            guess = guessing.begin(self.request, name)
        except LoginThrottled as error:
            vars(self.request)["axes_locked_out"] = True  # its middleware answers, as for its own locks
            raise forms.ValidationError(error.message) from error
        data = super().clean()
        guessing.succeeded(self.request, guess, self.get_user())
        return data


class ConsoleSignInForm(ByNameOrEmail, AdminAuthenticationForm):
    """Of the operators' console."""


class SignInForm(ByNameOrEmail):
    """In Bootstrap's clothes."""

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

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        if not _is_confirmed(self, self.user, "old_password", password):
            self.add_error("old_password", self.error_messages["password_incorrect"])
        return password


class NewPersonForm(SetPasswordForm):
    """The password of somebody new."""

    default_renderer = BootstrapRenderer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, label_suffix="", **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"


class ProfileForm(DashboardForm):
    """A new e-mail address needs the password: it names the person."""

    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    email = forms.EmailField(label=_("E-mail address"))
    current_password = forms.CharField(
        label=_("Current password"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        help_text=_("Needed only to change the e-mail address."),
    )

    def __init__(self, person: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        is_new = "email" in data and data["email"] != self.person.email
        if is_new and not _is_confirmed(self, self.person, "current_password", data.pop("current_password", "")):
            self.add_error("current_password", _("Give your current password to change the e-mail address."))
        data.pop("current_password", None)
        return data


class LanguageForm(DashboardForm):
    """The language of the pages, kept in this browser. Empty: as the browser asks for."""

    language = forms.ChoiceField(label=_("Language of these pages"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("As in the browser")), *settings.LANGUAGES]
        self.fields["language"].choices = choices  # type: ignore[attr-defined]


class MemberForm(DashboardForm):
    """Somebody who is invited to the account."""

    email = forms.EmailField(label=_("E-mail address"))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.SENDER)


def _is_confirmed(form: forms.BaseForm, person: User, field: str, password: str) -> bool:
    try:
        return bool(password) and guessing.confirm(person, password)
    except LoginThrottled as error:
        form.add_error(field, error.message)
        return False


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
