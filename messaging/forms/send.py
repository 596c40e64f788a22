"""Forms of sending to a few numbers, and of searching what was sent."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.choices import Mode, SenderStatus
from accounts.models import Account
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.querysets import CampaignQuerySet
from messaging.choices import MessageStatus
from messaging.services import MAX_NUMBERS
from reports.selectors.overview import FAILED, HANDED_OVER
from smsapp.dashboard.forms import ALL, DashboardForm, WallTimeField, ZoneField, moment_of
from smsapp.dashboard.pagination import LARGEST_ID
from smsapp.lib.phone import RefusedNumber, parse_number

MOST_CAMPAIGNS = 50  # that are offered to search in


def sender_choices(account: Account) -> list[tuple[str, str]]:
    approved = account.sender_ids.filter(status=SenderStatus.APPROVED).order_by("value").values_list("value", flat=True)
    return [("", str(_("Default sender"))), *((value, value) for value in approved)]


class SendForm(DashboardForm):
    """To 1 to 100 numbers, at once or at a time; `request` gives what the service asks for."""

    conditional = ("at", "zone")
    phone_numbers = forms.CharField(
        label=_("To"),
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "inputmode": "tel"}),
        help_text=_("One number or several, with commas or line breaks between them; 100 at most."),
    )
    sender_id = forms.ChoiceField(label=_("From"), required=False)
    message = forms.CharField(
        label=_("Message"), strip=False, widget=forms.Textarea(attrs={"rows": 5, "data-compose": ""})
    )
    when = forms.ChoiceField(
        label=_("When"), choices=[("now", _("Now")), ("later", _("Later"))], initial="now", widget=forms.RadioSelect
    )
    at = WallTimeField(label=_("Date and time"), required=False)
    zone = ZoneField(required=False, initial="UTC")

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sender_id"].choices = sender_choices(account)  # type: ignore[attr-defined]

    def clean_phone_numbers(self) -> list[str]:
        numbers = [part.strip() for part in re.split(r"[,;\n]+", self.cleaned_data["phone_numbers"]) if part.strip()]
        if not numbers:
            raise forms.ValidationError(_("Give at least one number."))
        if len(numbers) > MAX_NUMBERS:
            raise forms.ValidationError(
                _("You entered %(count)d numbers. To send to more than %(max)d, create a campaign."),
                params={"count": len(numbers), "max": MAX_NUMBERS},
            )
        return numbers

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        data["scheduled_at"] = None
        if data.get("when") == "later" and "at" in data:
            data["scheduled_at"] = moment_of(data["at"], data.get("zone") or "UTC")
            if data["scheduled_at"] is None:
                self.add_error("at", _("Give the date and time."))
        return data


#: Several statuses at once, as figures of the overview count them: (value, label, statuses).
STATUS_GROUPS = (
    ("handed_over", _("Handed over"), HANDED_OVER),
    ("any_failure", _("Failed (any reason)"), FAILED),
)


class SearchForm(DashboardForm):
    """What stands in the address of the message search; `before` is the cursor of keyset paging."""

    conditional = ALL
    number = forms.CharField(label=_("Number"), required=False, max_length=40)
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[
            ("", _("All")),
            *((value, label) for value, label, _statuses in STATUS_GROUPS),
            *((status.label, status.label.capitalize()) for status in MessageStatus),
        ],
    )
    campaign = forms.CharField(label=_("Campaign"), required=False, max_length=40, widget=forms.Select)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("Until"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    before = forms.IntegerField(min_value=1, max_value=LARGEST_ID, required=False, widget=forms.HiddenInput)

    def __init__(self, account: Account, mode: Mode, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account
        own = Campaign.objects.for_account(account, mode)
        self.fields["campaign"].widget.choices = [("", _("All")), *_campaign_choices(own, self["campaign"].value())]

    def clean_number(self) -> str:
        raw: str = self.cleaned_data["number"]
        if not raw:
            return ""
        try:
            return parse_number(raw, self.account.default_country)
        except RefusedNumber:
            raise forms.ValidationError(_("This is not a mobile number.")) from None

    def clean_status(self) -> Collection[MessageStatus]:
        value: str = self.cleaned_data["status"]
        groups = {name: [MessageStatus[status.upper()] for status in found] for name, _label, found in STATUS_GROUPS}
        if value in groups:
            return groups[value]
        return [MessageStatus[value.upper()]] if value else []


def _campaign_choices(own: CampaignQuerySet, chosen: str | None) -> Iterator[tuple[str, str]]:
    """The newest campaigns, and whatever else the address names: a single send, or an old one."""
    newest = list(own.filter(kind=CampaignKind.BULK).order_by("-id")[:MOST_CAMPAIGNS])
    if chosen and all(campaign.bulk_id != chosen for campaign in newest):
        newest = [*own.filter(bulk_id=chosen[:40]), *newest]
    for campaign in newest:
        yield campaign.bulk_id, campaign.title


def day_start(day: date | None, days_on: int = 0) -> datetime | None:
    """The beginning of a day, or of one so many days on, in UTC, as the days of reports are."""
    return datetime.combine(day, time(), UTC) + timedelta(days=days_on) if day else None
