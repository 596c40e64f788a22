"""A form of the dashboard is carried out once, however often it is sent."""

import re
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Account, ApiKey
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.models import Message
from tests.campaigns.test_dashboard import make_batch
from tests.factories import AccountFactory, MembershipFactory, make_campaign, make_upload, phones
from tests.pages import Browser

pytestmark = pytest.mark.django_db
FORM = {"phone_numbers": "0151 12345678", "sender_id": "", "message": "Hello", "when": "now", "zone": "UTC"}


@pytest.fixture
def account() -> Account:
    return AccountFactory(default_country="DE")


@pytest.fixture
def member(client: Browser, account: Account) -> Browser:
    client.force_login(MembershipFactory(account=account).user)
    return client


def token_of(client: Browser, address: str, action: str = "") -> dict[str, str]:
    """The hidden fields that the form at this address carries."""
    page = client.get(address).content.decode()
    form = re.search(rf"<form[^>]*{re.escape(action)}.*?</form>", page, re.DOTALL) if action else None
    found = re.search(r'name="once" value="([0-9a-f]+)"', form[0] if form else page)
    assert found, page
    return {"once": found[1]}


def test_a_send_that_comes_again_is_sent_once_and_leads_to_the_first(member: Browser) -> None:
    form = FORM | token_of(member, reverse("send"))
    first = member.post(reverse("send"), form)
    again = member.post(reverse("send"), form, follow=True)
    assert Message.objects.count() == 1
    assert again.redirect_chain[0][0] == first["Location"]
    assert "nothing was done a second time" in again.content.decode()


def test_another_number_under_the_same_token_is_another_message(member: Browser) -> None:
    token = token_of(member, reverse("send"))
    member.post(reverse("send"), FORM | token)
    member.post(reverse("send"), FORM | token | {"phone_numbers": "0151 12345679"})
    assert Message.objects.count() == 2


def test_every_page_has_a_token_of_its_own(member: Browser) -> None:
    assert token_of(member, reverse("send")) != token_of(member, reverse("send"))
    for _ in range(2):
        member.post(reverse("send"), FORM | token_of(member, reverse("send")))
    assert Message.objects.count() == 2


def test_what_was_refused_can_be_sent_again(member: Browser) -> None:
    token = token_of(member, reverse("send"))
    assert member.post(reverse("send"), FORM | token | {"message": ""}).status_code == 200
    assert member.post(reverse("send"), FORM | token).status_code == 302


def test_a_token_counts_for_one_person_only(client: Browser, account: Account) -> None:
    token = {"once": "0" * 32}
    for _ in range(2):
        client.force_login(MembershipFactory(account=account).user)
        client.post(reverse("send"), FORM | token)
    assert Message.objects.count() == 2


def test_who_comes_back_and_writes_another_text_changes_the_draft(member: Browser, account: Account) -> None:
    upload = make_upload(account, [(phone,) for phone in phones(2)], ["phone"])
    page = reverse("wizard-text-of-upload", args=[upload.upload_id])
    values = {"name": "Sale", "message": "Hello", "sender_id": ""} | token_of(member, page)
    first = member.post(page, values)
    assert member.post(page, values)["Location"] == first["Location"]
    assert member.post(page, values | {"message": "Hello again"})["Location"] == first["Location"]
    assert [draft.message for draft in Campaign.objects.all()] == ["Hello again"]


def test_a_key_is_made_once_though_its_page_is_reloaded(member: Browser) -> None:
    form: dict[str, Any] = {"name": "Shop", "mode": "test", "scopes": ["messages:send"], "allowed_networks": ""}
    form |= token_of(member, reverse("key-new"))
    answer = member.post(reverse("key-new"), form)
    assert "sms_test_" in answer.content.decode()
    again = member.post(reverse("key-new"), form)
    assert again["Location"] == reverse("developers")
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("name", ["campaign-clone", "campaign-resend"])
def test_a_copy_and_a_resend_are_made_once(member: Browser, account: Account, name: str) -> None:
    campaign = make_campaign(account)
    make_batch(campaign, [MessageStatus.UNDELIVERED])
    Campaign.objects.filter(pk=campaign.pk).update(status="completed", undelivered=1)
    form = {"once": "a" * 32}
    address = reverse(name, args=[campaign.bulk_id])
    first = member.post(address, form)
    again = member.post(address, form)
    assert first["Location"] == again["Location"] != reverse("campaign-detail", args=[campaign.bulk_id])
    assert Campaign.objects.count() == 2


def test_a_refusal_that_redirects_can_be_tried_again(member: Browser, account: Account) -> None:
    campaign = make_campaign(account)
    form, address = {"once": "b" * 32}, reverse("campaign-resend", args=[campaign.bulk_id])
    assert "nothing was done" not in member.post(address, form, follow=True).content.decode()
    assert "nothing was done" not in member.post(address, form, follow=True).content.decode()


def test_confirming_in_a_second_tab_says_what_has_happened(member: Browser, account: Account) -> None:
    campaign = make_campaign(account, name="Sale")
    for address in ("wizard-review", "wizard-text", "wizard-when"):
        answer = member.post(reverse(address, args=[campaign.bulk_id]), follow=True)
        assert answer.redirect_chain[-1][0] == reverse("campaign-detail", args=[campaign.bulk_id])
        assert "no longer a draft" in answer.content.decode()
