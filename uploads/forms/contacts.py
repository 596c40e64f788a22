"""Forms of contact lists and opt-outs."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from smsapp.dashboard.forms import DashboardForm
from uploads.choices import UploadStatus
from uploads.models import Upload

OFFERED = 50  # of the newest uploads


class NameForm(DashboardForm):
    name = forms.CharField(label=_("Name of the list"), max_length=120)


class ContactForm(DashboardForm):
    phone_number = forms.CharField(
        label=_("Phone number"), max_length=40, widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"})
    )
    values = forms.CharField(
        label=_("Values"),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One per line, for example first_name=Anna"),
    )

    def clean_values(self) -> dict[str, str]:
        values = {}
        for line in self.cleaned_data["values"].splitlines():
            if not line.strip():
                continue
            name, equals, value = line.partition("=")
            name = name.strip()
            if not equals or not name or len(name) > 64 or set(name) & set("{}|") or not name.isprintable():
                raise forms.ValidationError(_("Write name=value on each line. A name cannot contain braces or bars."))
            values[name] = value.strip()
        return values


class UploadChoiceForm(DashboardForm):
    """One of the newest uploads that could be read."""

    upload_id = forms.ChoiceField(label=_("Uploaded file"))

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Upload.objects.for_account(account).filter(status=UploadStatus.READY).order_by("-id")[:OFFERED]
        self.fields["upload_id"].choices = [  # type: ignore[attr-defined]
            (row.upload_id, f"{row.original_filename} ({row.phone_count:,})") for row in rows
        ]


class OptOutForm(DashboardForm):
    phone_number = forms.CharField(
        label=_("Phone number"), max_length=40, widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "off"})
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=200)
