"""Forms of the dashboard: Bootstrap's classes, errors of services at their fields, and fields for a moment on the
clocks of a zone ("18 March, 9:00 in Berlin")."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.forms.renderers import TemplatesSetting
from django.utils.translation import gettext_lazy as _

from smsapp.core.exceptions import SmsappError, entries_of, root_of
from smsapp.lib.phone import countries
from smsapp.lib.zones import NoSuchZone, at_wall_time, zone

ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
ALL = "all"
CLASSES = {
    forms.CheckboxInput: "form-check-input",
    forms.CheckboxSelectMultiple: "form-check-input",
    forms.RadioSelect: "form-check-input",
    forms.Select: "form-select",
}


class BootstrapRenderer(TemplatesSetting):
    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"


class DashboardForm(forms.Form):
    """`{{ form }}` renders label, help, widget and errors, tied together for screen readers."""

    default_renderer = BootstrapRenderer
    #: Fields that only some choices need, or ALL. They are not marked as optional.
    conditional: Collection[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": ""} | kwargs)
        for name, field in self.fields.items():
            chosen = next((name for kind, name in CLASSES.items() if isinstance(field.widget, kind)), "form-control")
            own = field.widget.attrs.get("class", "")
            field.widget.attrs["class"] = f"{own} {chosen}".strip()
            if isinstance(field, ZoneField) and (self.is_bound or name in self.initial):
                field.widget.attrs.pop("data-own-zone", None)
        for name in self.fields if self.conditional == ALL else self.conditional:
            vars(self.fields[name])["is_conditional"] = True

    def full_clean(self) -> None:
        super().full_clean()
        for name in self.errors if self.is_bound else ():
            if name in self.fields:
                self.fields[name].widget.attrs["class"] += " is-invalid"

    def refuse(self, error: SmsappError, **names: str) -> None:
        """Show the error of a service at the fields it names. `names`: this form's names of those fields."""
        entries = entries_of(error)
        if not entries:
            self.add_error(None, error.message)
        for entry in entries:
            field = root_of(entry["field"])
            field = names.get(field, field)
            is_part = len(entries) > 1 and "[" in entry["field"]
            words = f"{entry['value']}: {entry['message']}" if is_part else entry["message"]
            self.add_error(field if field in self.fields else None, words)
            if field in self.fields and "is-invalid" not in self.fields[field].widget.attrs["class"]:
                self.fields[field].widget.attrs["class"] += " is-invalid"


class CountryField(forms.ChoiceField):
    """A country by its ISO code, which country-names.js replaces by its name in the reader's language."""

    def __init__(self, **options: Any) -> None:
        choices = [(code, f"{code} (+{calling})") for code, calling in countries()]
        super().__init__(choices=choices, widget=forms.Select(attrs={"data-countries": ""}), **options)


class WallTimeInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class WallTimeField(forms.CharField):
    """A naive date and time. Its zone is in another field."""

    widget = WallTimeInput

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise forms.ValidationError(_("Enter a date and a time, such as 2027-03-19T09:00.")) from None
        return moment.replace(tzinfo=None, second=0, microsecond=0)

    def prepare_value(self, value: Any) -> Any:
        return value


class ZoneField(forms.ChoiceField):
    """A time zone. If none was given, own-zone.js chooses the browser's and converts the form's moments to it."""

    def __init__(self, **options: Any) -> None:
        choices = [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in ZONES)]
        attrs = {"data-own-zone": ""}
        super().__init__(choices=choices, widget=forms.Select(attrs=attrs), label=_("Time zone"), **options)


def moment_of(wall: datetime | None, zone_name: str) -> datetime | None:
    """Return the moment (UTC) at which clocks of the zone show this time: the first after the gap if they skip it."""
    if wall is None:
        return None
    try:
        return at_wall_time(wall.date(), wall.time(), zone(zone_name))
    except NoSuchZone:
        return None


def wall_time(moment: datetime | None, zone_name: str = "UTC") -> str:
    """Return what clocks of a zone show at a moment, in the format of a WallTimeField."""
    return moment.astimezone(zone(zone_name)).strftime("%Y-%m-%dT%H:%M") if moment else ""
