import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import Account
from campaigns import services
from campaigns.choices import CampaignStatus
from tests.support.factories import MembershipFactory, make_campaign
from tests.support.pages import member

GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.fixture
def account(db: None) -> Account:
    account: Account = MembershipFactory().account
    return account


@pytest.fixture(autouse=True)
def as_before():
    """What a page activates stays with the thread."""
    yield
    translation.activate(settings.LANGUAGE_CODE)


def test_pages_follow_the_browser_and_the_api_is_english(client: Client, account: Account) -> None:
    member(client, account)
    assert "Übersicht" in client.get(reverse("overview"), **GERMAN).content.decode()
    answer = client.get("/api/v1/campaigns/none", headers={"X-API-Key": "sms_test_wrong"}, **GERMAN)
    assert answer.json()["error"]["message"].isascii()
    assert translation.get_language() == "en"


def test_a_person_chooses_the_language_in_the_profile(client: Client, account: Account) -> None:
    member(client, account)
    page = reverse("profile")
    assert "Sprache" not in client.get(page).content.decode()
    client.post(page, {"act": "language", "language": "de"})
    assert '<html lang="de"' in client.get(page).content.decode()
    assert "Sprache dieser Seiten" in client.get(page).content.decode()
    client.post(page, {"act": "language", "language": "xx"})
    assert '<html lang="de"' in client.get(page).content.decode()
    client.post(page, {"act": "language", "language": ""})
    assert '<html lang="en"' in client.get(page).content.decode()


def test_a_stored_reason_is_read_in_the_readers_language(client: Client, account: Account) -> None:
    member(client, account)
    campaign = make_campaign(account)
    assert campaign.status == CampaignStatus.RUNNING
    with translation.override("de"):
        services.pause(campaign, campaign.user)
    page = reverse("campaign-detail", args=[campaign.bulk_id])
    assert f"Paused by {campaign.user.username}." in client.get(page).content.decode()
    assert f"Angehalten von {campaign.user.username}." in client.get(page, **GERMAN).content.decode()
