"""The form of a template."""

from django import forms
from django.utils.translation import gettext_lazy as _

from smsapp.dashboard.forms import DashboardForm


class TemplateForm(DashboardForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    message = forms.CharField(
        label=_("Text"),
        strip=False,
        widget=forms.Textarea(attrs={"rows": 5, "data-compose": ""}),
        help_text=_("Words in braces are filled in: “Hello {name}”; with a default: “Hello {name|there}”."),
    )
