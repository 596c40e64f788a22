"""Nothing is offered to be sent that the credit does not cover, and the reason is said; only where it costs."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.billing.prices import import_prices
from accounts.choices import Mode, Role
from accounts.models import Account
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from tests.support.factories import AccountFactory, MembershipFactory, make_campaign, make_upload, phones
from tests.support.pages import Browser, html_of

pytestmark = pytest.mark.django_db
CENT = 10_000
NUMBER = "+4915112345678"
TEXT = {"name": "Sale", "message": "Hello", "sender_id": ""}
TOO_MUCH = "Not enough credit: this costs 0.30 EUR, the balance is 0.25 EUR."
EMPTY = "The balance is {} EUR: nothing can be sent."


@pytest.fixture
def account() -> Account:
    import_prices(["49,0.10"], None, "EUR", None)
    return AccountFactory(is_metered=True, default_country="DE")


@pytest.fixture
def member(client: Client, account: Account) -> Client:
    client.force_login(MembershipFactory(account=account, role=Role.OWNER).user)
    return client


def balance(account: Account, cents: int) -> None:
    Account.objects.filter(pk=account.pk).update(balance_micro=cents * CENT)


def draft_of(member: Client, account: Account) -> str:
    upload = make_upload(account, [(phone,) for phone in phones(3)], ["phone"])
    member.post(reverse("wizard-text-of-upload", args=[upload.upload_id]), TEXT)
    return Campaign.objects.latest("pk").bulk_id


def button(page: Any, mark: str) -> str:
    """Its opening tag."""
    found = re.search(rf"<button[^>]*{mark}[^>]*>", page.content.decode())
    assert found, mark
    return found[0]


@pytest.mark.parametrize(
    ("cents", "said", "said_of_a_test"),
    [
        (30, "", ""),
        (25, TOO_MUCH, ""),
        (0, TOO_MUCH.replace("0.25", "0.00"), EMPTY.format("0.00")),
        (-200, TOO_MUCH.replace("0.25", "-2.00"), EMPTY.format("-2.00")),
    ],
)
def test_a_campaign_that_is_not_covered(
    member: Client, account: Account, cents: int, said: str, said_of_a_test: str
) -> None:
    address = reverse("wizard-review", args=[draft_of(member, account)])
    balance(account, cents)
    page = member.get(address)
    assert ("disabled" in button(page, 'id="confirm"')) == bool(said)
    assert ("disabled" in button(page, 'id="try"')) == bool(said_of_a_test)
    assert said in page.content.decode()
    assert said_of_a_test in page.content.decode()
    assert (member.post(address).status_code == 302) == (not said)  # as `credit.reserve` decides


def test_what_costs_nothing_is_never_off(member: Browser, account: Account) -> None:
    balance(account, -200)
    member.enter(account, Mode.TEST)
    page = member.get(reverse("wizard-review", args=[draft_of(member, account)]))
    assert "disabled" not in button(page, 'id="confirm"') + button(page, 'id="try"')
    composed = member.post(
        reverse("composed"), {"phone_numbers": NUMBER, "message": "Hello", "is_send": "yes"}
    ).content.decode()
    assert "data-shortfall" not in composed
    assert "EUR" not in composed  # in test mode it costs nothing
    member.enter(account)
    Account.objects.update(is_metered=False)
    assert "disabled" not in button(member.get(reverse("send")), 'id="send-now"')


@pytest.mark.parametrize(
    ("cents", "message", "is_covered"),
    [(10, "Hello", True), (10, "x" * 161, False), (20, "x" * 161, True), (0, "Hello", False)],
)
def test_a_single_text_is_priced_as_it_is_written(
    member: Client, account: Account, cents: int, message: str, is_covered: bool
) -> None:
    balance(account, cents)
    form = {
        "phone_numbers": NUMBER,
        "message": message,
        "sender_id": "",
        "when": "now",
        "zone": "UTC",
        "is_send": "yes",
    }
    composed = member.post(reverse("composed"), form).content.decode()
    assert ("data-shortfall" not in composed) == is_covered
    assert ('id="shortfall"' not in composed) == is_covered
    sent = member.post(reverse("send"), form)
    assert (sent.status_code == 302) == is_covered
    if not is_covered:
        assert "disabled" in button(sent, 'id="send-now"')


def test_an_empty_balance_is_said_before_anything_is_written(member: Client, account: Account) -> None:
    balance(account, 1)
    assert "disabled" not in button(member.get(reverse("send")), 'id="send-now"')
    balance(account, -1)
    page = member.get(reverse("send"))
    assert "disabled" in button(page, 'id="send-now"')
    assert EMPTY.format("-0.01") in page.content.decode()


def test_what_a_second_person_decides_is_asked_for_and_not_approved(member: Browser, account: Account) -> None:
    Account.objects.update(approval_above=2)
    balance(account, 25)
    address = draft_of(member, account)
    assert "disabled" not in button(member.get(reverse("wizard-review", args=[address])), 'id="confirm"')
    member.post(reverse("wizard-review", args=[address]))
    assert Campaign.objects.get().status == CampaignStatus.AWAITING_APPROVAL
    member.force_login(MembershipFactory(account=account, role=Role.ADMIN).user)
    page = member.get(reverse("campaign-approve", args=[address]))
    assert "disabled" in button(page, 'value="approve"')
    assert "disabled" not in button(page, 'value="reject"')
    assert TOO_MUCH in page.content.decode()


def test_sending_again_needs_credit(member: Client, account: Account) -> None:
    balance(account, 100)
    campaign = make_campaign(account)
    Campaign.objects.update(status=CampaignStatus.COMPLETED, undelivered=3)
    balance(account, 0)
    page = html_of(member.get(reverse("campaign-resend", args=[campaign.bulk_id])))
    assert EMPTY.format("0.00") in page
    assert re.search(r"<button[^>]* disabled[^>]*>Resend messages", page)
