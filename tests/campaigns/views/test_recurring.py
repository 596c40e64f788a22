"""Changing a recurring campaign in the dashboard."""

from datetime import time

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from campaigns.choices import CampaignKind
from campaigns.forms.rule import RuleForm, rule_initial, rule_words
from campaigns.models import RecurringCampaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling.recurring import create_recurring, end
from campaigns.scheduling.rule import Every, Rule
from campaigns.validation import CampaignRequest
from tests.support.factories import MembershipFactory
from uploads import contacts

pytestmark = [pytest.mark.django_db, pytest.mark.once]
WEEKLY = Rule.at(Every.WEEK, "Europe/Berlin", time(9, 30), weekdays=(1, 4))
AT = {
    "every": "month",
    "month_day": "15",
    "clock": "10:00",
    "zone": "Asia/Tokyo",
    "ends_at": "",
    "valid_minutes": "240",
    "quiet_from": "",
    "quiet_until": "",
    "cron": "",
}


@pytest.fixture
def account() -> Account:
    return MembershipFactory().account


@pytest.fixture
def member(account: Account, client: Client) -> Client:
    client.force_login(account.users.get())
    return client


@pytest.fixture
def weekly(account: Account) -> RecurringCampaign:
    user = account.users.get()
    regulars = contacts.create_list(account, user, "Regulars")
    contacts.put_contact(regulars, user, "+4915112345678", {"name": "Anna"})
    request = CampaignRequest(kind=CampaignKind.BULK, name="Weekly", message="Hello {name|there}")
    return create_recurring(account, user, request, WEEKLY, RecipientSource(list_id=regulars.list_id))


def test_text_and_rule_are_changed_and_the_recipients_stay(member: Client, weekly: RecurringCampaign) -> None:
    address = reverse("recurring-edit", args=[weekly.recurring_id])
    page = member.get(address)
    assert page.context["form"]["weekdays"].value() == ["1", "4"]
    assert "Hello Anna" in page.content.decode()
    answer = member.post(address, AT | {"name": "Monthly", "message": "Dear {name|you}", "sender_id": ""})
    assert answer["Location"] == reverse("recurring-detail", args=[weekly.recurring_id])
    list_before, next_before = weekly.contact_list, weekly.next_run_at
    weekly.refresh_from_db()
    assert (weekly.name, weekly.message, weekly.valid_minutes) == ("Monthly", "Dear {name|you}", 240)
    assert (weekly.rule.day_of_month, weekly.rule.hour, str(weekly.rule.timezone)) == ("15", "10", "Asia/Tokyo")
    assert weekly.contact_list == list_before
    assert weekly.next_run_at != next_before
    assert weekly.next_run_at > timezone.now()
    assert (weekly.next_run_at.hour, weekly.next_run_at.minute) == (1, 0)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": "x" * 2000}, "message"),
        ({"every": "cron", "cron": "* * * * *"}, "cron"),
        ({"every": "week"}, "weekdays"),
        ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
        ({"valid_minutes": "1"}, "valid_minutes"),
        ({"quiet_from": "22:00"}, "quiet_until"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    member: Client, weekly: RecurringCampaign, values: dict[str, str], field: str
) -> None:
    whole = AT | {"name": "Weekly", "message": "Hello", "sender_id": ""} | values
    answer = member.post(reverse("recurring-edit", args=[weekly.recurring_id]), whole)
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    assert RecurringCampaign.objects.get().message == "Hello {name|there}"


def test_one_that_has_ended_is_shown_and_not_changed(member: Client, weekly: RecurringCampaign) -> None:
    end(weekly, weekly.user)
    assert member.get(reverse("recurring-edit", args=[weekly.recurring_id])).status_code == 302


@pytest.mark.parametrize(
    ("rule", "every", "words"),
    [
        (Rule.at(Every.DAY, "UTC", time(8)), Every.DAY, "Every day 08:00, UTC"),
        (Rule.at(Every.WEEKDAY, "Europe/Berlin", time(8)), Every.WEEKDAY, "Monday to Friday 08:00, Europe/Berlin"),
        (WEEKLY, Every.WEEK, "Monday, Thursday 09:30, Europe/Berlin"),
        (
            Rule.at(Every.MONTH, "America/New_York", time(23, 5), month_day=28),
            Every.MONTH,
            "On day 28 of the month 23:05, America/New York",
        ),
        (Rule("*/20", "8", "*", "*", "*", "UTC"), Every.CRON, "Cron rule */20 8 * * *, UTC"),
        (Rule("0", "8", "31", "*", "*", "UTC"), Every.CRON, "Cron rule 0 8 31 * *, UTC"),
        (Rule("0", "8", "1", "*", "1", "UTC"), Every.CRON, "Cron rule 0 8 1 * 1, UTC"),
        (Rule("0", "8", "*", "*", "1-3", "UTC"), Every.CRON, "Cron rule 0 8 * * 1-3, UTC"),
    ],
)
def test_a_rule_goes_into_the_form_and_comes_out_the_same(rule: Rule, every: Every, words: str) -> None:
    initial = rule_initial(rule)
    assert initial["every"] is every
    assert rule_words(rule) == words
    form = RuleForm(initial | {"clock": f"{initial.get('clock', time(9)):%H:%M}"})
    assert form.is_valid()
    assert form.stated_rule() == rule
