"""Forms of the steps to a campaign: who, what, when."""

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from campaigns.forms.rule import QuietForm, RuleForm
from campaigns.scheduling.rule import Rule
from messaging.forms.send import sender_choices
from smsapp.dashboard.forms import CountryField, DashboardForm, WallTimeField, moment_of
from uploads.models import ContactList, Upload

DELIMITERS = [
    ("", _("As guessed")),
    (",", _("Comma")),
    (";", _("Semicolon")),
    ("\t", _("Tab")),
    ("|", _("Vertical bar")),
]


GUESSED = -1


class SourceForm(DashboardForm):
    """`country`: that of numbers in national format, the account's own unless another is chosen."""

    country = CountryField(label=_("Country of numbers without a country code"))

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, initial={"country": account.default_country}, **kwargs)
        self.fields["country"].required = False


class FileForm(SourceForm):
    """A file of recipients."""

    prefix = "file"
    file = forms.FileField(
        label=_("File"),
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.xlsx"}),
        error_messages={"required": _("Choose a file first."), "empty": _("This file is empty.")},
    )


class PasteForm(SourceForm):
    """Numbers, one a line, or rows copied out of a table; read like a file."""

    prefix = "paste"
    rows = forms.CharField(
        label=_("Numbers"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "autocomplete": "off"}),
        help_text=_("One number a line, or rows with their first line of names, as copied from a spreadsheet."),
    )

    def clean_rows(self) -> str:
        rows: str = self.cleaned_data["rows"]
        if len(rows) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2:
            raise forms.ValidationError(_("This is too much to paste: please upload it as a file."))
        return rows

    def file(self) -> "UploadedFile[bytes]":
        """As a file: what holds separators is a table."""
        rows: str = self.cleaned_data["rows"].strip()
        is_table = any(mark in rows for mark in ",;\t|")
        return SimpleUploadedFile("pasted.csv" if is_table else "pasted.txt", rows.encode("utf-8", "replace"))


class ListForm(DashboardForm):
    prefix = "list"
    list_id = forms.ChoiceField(label=_("Contact list"))

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lists = ContactList.objects.filter(account=account, contact_count__gt=0).order_by("name")
        self.fields["list_id"].choices = [  # type: ignore[attr-defined]
            (row.list_id, f"{row.name} ({row.contact_count:,})") for row in lists
        ]


class ColumnsForm(DashboardForm):
    """How a file is read, as it was guessed, to be put right."""

    phone_column = forms.TypedChoiceField(label=_("Column of the phone numbers"), coerce=int)
    has_header = forms.BooleanField(label=_("The first row holds the names of columns"), required=False)
    country = CountryField(label=_("Country of numbers without a country code"))
    delimiter = forms.ChoiceField(label=_("Columns are separated by"), choices=DELIMITERS, required=False)

    def __init__(self, upload: Upload, *args: Any, **kwargs: Any) -> None:
        super().__init__(
            *args,
            initial={
                "phone_column": upload.phone_column,
                "has_header": upload.has_header,
                "country": upload.country,
                "delimiter": upload.delimiter,
            },
            **kwargs,
        )
        columns = [*enumerate(upload.columns), (GUESSED, _("As guessed"))]
        self.fields["phone_column"].choices = columns  # type: ignore[attr-defined]

    def clean_phone_column(self) -> int | None:
        column: int = self.cleaned_data["phone_column"]
        return None if column == GUESSED else column


class TextForm(DashboardForm):
    name = forms.CharField(
        label=_("Name of the campaign"), max_length=120, help_text=_("For your own eyes, e.g. “Spring sale”.")
    )
    sender_id = forms.ChoiceField(label=_("From"), required=False)
    message = forms.CharField(
        label=_("Text"), strip=False, widget=forms.Textarea(attrs={"rows": 6, "data-compose": ""})
    )

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sender_id"].choices = sender_choices(account)  # type: ignore[attr-defined]


class WhenForm(RuleForm, QuietForm):
    """Now, later or again and again; not at night, not too late, and not all at once."""

    conditional = (*RuleForm.conditional, "at", "canary_value", "canary_wait", "canary_floor")
    when = forms.ChoiceField(
        label=_("When is it sent?"),
        widget=forms.RadioSelect,
        initial="now",
        choices=[("now", _("As soon as I confirm")), ("later", _("At a time")), ("again", _("Recurring"))],
    )
    at = WallTimeField(label=_("Date and time"), required=False)
    valid_until = WallTimeField(
        label=_("Do not send after"), required=False, help_text=_("Whatever is left then is given up.")
    )
    canary = forms.ChoiceField(
        label=_("Try it on the first recipients?"),
        required=False,
        widget=forms.RadioSelect,
        initial="none",
        choices=[("none", _("No, send to all")), ("size", _("First to so many")), ("percent", _("First to so many %"))],
    )
    canary_value = forms.IntegerField(label=_("How many"), required=False, min_value=1, max_value=10**6, initial=100)
    canary_wait = forms.IntegerField(
        label=_("Minutes to wait for their delivery reports"), required=False, min_value=1, max_value=1440, initial=15
    )
    canary_floor = forms.IntegerField(
        label=_("Go on if so many % were delivered"), required=False, min_value=1, max_value=100, initial=80
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("when") == "later" and "at" in data and not data["at"]:
            self.add_error("at", _("Give the date and time."))
        if data.get("when") == "again":
            self.clean_rule(data)
        return data

    @property
    def moment(self) -> datetime | None:
        data = self.cleaned_data
        return moment_of(data["at"], data["zone"] or "UTC") if data["when"] == "later" else None

    def changes(self) -> dict[str, Any]:
        """Fields of a CampaignRequest by name."""
        data = self.cleaned_data
        canary, value = data["canary"], data["canary_value"]
        return {
            "scheduled_at": self.moment,
            "valid_until": moment_of(data["valid_until"], data["zone"] or "UTC"),
            "quiet_from": data["quiet_from"],
            "quiet_until": data["quiet_until"],
            "canary_size": value if canary == "size" else None,
            "canary_percent": value if canary == "percent" else None,
            "canary_wait": 60 * (data["canary_wait"] or 15),
            "canary_floor": data["canary_floor"] or 80,
        }

    def rule(self) -> Rule | None:
        return self.stated_rule() if self.cleaned_data["when"] == "again" else None


class TryForm(DashboardForm):
    phone_number = forms.CharField(label=_("My number"), max_length=40, widget=forms.TextInput(attrs={"type": "tel"}))
