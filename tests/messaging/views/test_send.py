"""The dashboard's pages of sending to a few, of searching messages and of replies."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Mode, Role
from accounts.models import Account
from campaigns.models import Campaign
from messaging.models import InboundMessage, Message
from tests.support.factories import AccountFactory, MembershipFactory, phones
from tests.support.pages import Browser
from uploads.suppressions import suppress

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FORM = {"phone_numbers": "0151 12345678", "sender_id": "", "message": "Hello", "when": "now", "zone": "UTC"}


@pytest.fixture
def account() -> Account:
    return AccountFactory(default_country="DE")


@pytest.fixture
def member(client: Client, account: Account) -> Client:
    client.force_login(MembershipFactory(account=account, role=Role.SENDER).user)
    return client


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["form"].errors)


def test_it_is_accepted_and_shown(member: Client, account: Account) -> None:
    answer = member.post(reverse("send"), FORM, follow=True)
    campaign = Campaign.objects.get()
    assert answer.redirect_chain[0][0] == reverse("campaign-detail", args=[campaign.bulk_id])
    assert [message.phone_number for message in Message.objects.all()] == ["+4915112345678"]
    assert (campaign.account, campaign.mode) == (account, Mode.LIVE)


def test_in_test_mode_it_is_a_test(member: Browser, account: Account) -> None:
    member.enter(account, Mode.TEST)
    assert "Send test" in member.get(reverse("send")).content.decode()
    member.post(reverse("send"), FORM)
    assert Campaign.objects.get().mode == Mode.TEST


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phone_numbers": ""}, "phone_numbers"),
        ({"phone_numbers": "12345"}, "phone_numbers"),
        ({"phone_numbers": "0151 12345678, 0151 12345678"}, "phone_numbers"),
        ({"phone_numbers": ",".join(phones(101))}, "phone_numbers"),
        ({"message": "   "}, "message"),
        ({"message": "x" * 1601}, "message"),
        ({"message": "Hello \x07"}, "message"),
        ({"sender_id": "Stranger"}, "sender_id"),
        ({"when": "later"}, "at"),
        ({"when": "later", "at": "2020-01-01T10:00"}, "at"),
        ({"when": "later", "at": "soon"}, "at"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_field(member: Client, change: dict[str, str], field: str) -> None:
    answer = member.post(reverse("send"), FORM | change)
    assert field in errors(answer)
    assert not Campaign.objects.exists()


def test_who_has_opted_out_is_named(member: Client, account: Account) -> None:
    suppress(account, "+4915112345678", "asked")
    answer = member.post(reverse("send"), FORM)
    assert errors(answer)["phone_numbers"] == ["This recipient has opted out."]
    assert not Campaign.objects.exists()


def test_later_is_on_the_clock_of_the_zone(member: Client) -> None:
    day = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%d")
    member.post(reverse("send"), FORM | {"when": "later", "at": f"{day}T12:00", "zone": "Asia/Tokyo"})
    assert Campaign.objects.get().scheduled_at.isoformat() == f"{day}T03:00:00+00:00"


def test_the_counter_names_what_costs_and_what_says_the_same(member: Client) -> None:
    page = member.post(reverse("composed"), {"message": "“Hi” … ☃"}).content.decode()
    assert 'data-replace="“" data-with="&quot;"' in page
    assert 'data-replace="…" data-with="..."' in page
    assert 'data-replace="☃"' not in page
    assert "<code>☃</code>" in page


def test_search_finds_a_number_in_any_spelling_and_nothing_of_others(member: Client, account: Account) -> None:
    member.post(reverse("send"), FORM)
    for spelling in ("0151 12345678", "+49 151 12345678", "0049 151 123 456 78"):
        rows = member.get(reverse("message-search"), {"number": spelling}).context["rows"]
        assert [row.phone_number for row, _ in rows] == ["+4915112345678"]
    assert member.get(reverse("message-search"), {"status": "delivered"}).context["rows"] == []
    member.force_login(MembershipFactory().user)
    assert member.get(reverse("message-search")).context["rows"] == []


def test_inbox_shows_what_was_written_and_one_conversation(member: Client, account: Account) -> None:
    for n, phone in enumerate(phones(2)):
        InboundMessage.objects.create(
            account=account,
            inbound_id=f"in-{n}",
            gateway="simulator",
            provider_reference=str(n),
            phone_number=phone,
            recipient="+4915199999999",
            text=f"Reply {n}",
            received_at=timezone.now(),
        )
    assert [row.text for row, _ in member.get(reverse("inbox")).context["rows"]] == ["Reply 1", "Reply 0"]
    one = member.get(reverse("inbox"), {"number": phones(2)[0]}).context["rows"]
    assert [row.text for row, _ in one] == ["Reply 0"]


def test_pages_hold_every_row_once_and_stay_with_the_number(member: Client, account: Account) -> None:
    InboundMessage.objects.bulk_create(
        InboundMessage(
            account=account,
            inbound_id=f"in-{n}",
            gateway="simulator",
            provider_reference=str(n),
            phone_number=phones(2)[n % 2],
            recipient="+4915199999999",
            text=str(n),
            received_at=timezone.now(),
        )
        for n in range(120)
    )
    seen, query = [], {"number": phones(2)[0]}
    while query:
        page = member.get(reverse("inbox"), query).context
        seen += [int(row.text) for row, _ in page["rows"]]
        assert page["query"] == f"number=%2B{phones(2)[0][1:]}"
        query = page["next_before"] and {"number": phones(2)[0], "before": page["next_before"]}
    assert seen == list(range(118, -1, -2))
