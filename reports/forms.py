"""What stands in the address of the pages of reports."""

from django import forms
from django.utils.translation import gettext_lazy as _

from smsapp.dashboard.forms import DashboardForm

USUAL = 30
SPANS = [("7", _("7 days")), ("30", _("30 days")), ("90", _("90 days")), ("365", _("a year"))]


class SpanForm(DashboardForm):
    days = forms.ChoiceField(label=_("Of the last"), choices=SPANS, required=False, initial=str(USUAL))

    @property
    def length(self) -> int:
        return int(self.cleaned_data["days"] or USUAL) if self.is_valid() else USUAL
