"""Forms of the campaigns app."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from campaigns.choices import CampaignKind, CampaignStatus
from messaging.choices import MessageStatus
from messaging.sending.resending import FAILED_STATUSES, ON_REQUEST
from smsapp.dashboard.forms import DashboardForm
from smsapp.dashboard.pagination import LARGEST_ID


class CampaignListQuery(DashboardForm):
    """What stands in the address of the campaign list, beside what paging needs."""

    kind = forms.ChoiceField(choices=CampaignKind.choices, required=False, widget=forms.HiddenInput)
    name = forms.CharField(label=_("Name"), required=False, max_length=120, widget=forms.SearchInput)
    status = forms.ChoiceField(label=_("Status"), required=False, choices=[("", _("All")), *CampaignStatus.choices])

    def clean_kind(self) -> CampaignKind:
        return CampaignKind(self.cleaned_data["kind"] or CampaignKind.BULK)


class MessageFilter(forms.Form):
    """Which of a campaign's messages to show; `after` is the cursor of keyset paging."""

    status = forms.ChoiceField(
        choices=[("", "All statuses"), *((status.label, status.label.capitalize()) for status in MessageStatus)],
        required=False,
        widget=forms.Select(attrs={"class": "form-select form-select-sm"}),
    )
    after = forms.IntegerField(min_value=0, max_value=LARGEST_ID, required=False, widget=forms.HiddenInput)

    def clean_status(self) -> MessageStatus | None:
        value: Any = self.cleaned_data["status"]
        return MessageStatus[value.upper()] if value else None


class ResendForm(forms.Form):
    """What is sent again beside what failed; `clean_also` gives all statuses to send again."""

    also = forms.MultipleChoiceField(choices=[(status.label, status.label) for status in ON_REQUEST], required=False)

    def clean_also(self) -> list[MessageStatus]:
        return [*FAILED_STATUSES, *(MessageStatus[name.upper()] for name in self.cleaned_data["also"])]


class RefusedQuery(forms.Form):
    """`start` is the number of refused rows to leave out."""

    start = forms.IntegerField(min_value=0, max_value=LARGEST_ID, required=False)
