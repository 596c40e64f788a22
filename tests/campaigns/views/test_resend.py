"""The dashboard's page that sends failed messages again, and what it says when sending is stopped or goes on."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.choices import Role
from accounts.models import Account
from campaigns import resends, services
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.models import Batch
from tests.support.builders import make_attempt, make_batch
from tests.support.factories import AccountFactory, make_audience, make_campaign
from tests.support.pages import campaign_url, member

pytestmark = [pytest.mark.django_db, pytest.mark.once]

S = MessageStatus
BUTTON = "Resend failed messages"


def ended(*statuses: MessageStatus, account: Account | None = None) -> Campaign:
    """A completed campaign with counters that agree with its messages."""
    account = account or AccountFactory()
    campaign = make_campaign(account, audience=make_audience(account, len(statuses)), name="Spring")
    make_batch(campaign, list(statuses))
    tally = {status.label: statuses.count(status) for status in set(statuses)}
    Campaign.objects.filter(pk=campaign.pk).update(status=CampaignStatus.COMPLETED, chunks_done=1, **tally)
    campaign.refresh_from_db()
    return campaign


def text(response) -> str:
    return " ".join(response.content.decode().split())


def test_the_button_is_there_when_something_failed_and_asks_first(client: Client) -> None:
    campaign = ended(S.FAILED, S.UNDELIVERED, S.UNDELIVERED, S.SENT)
    member(client, campaign.account)
    assert BUTTON in text(client.get(campaign_url("campaign-detail", campaign)))
    page = text(client.get(campaign_url("campaign-resend", campaign)))
    assert "3 messages have failed:" in page
    assert "2 undelivered" in page
    assert "1 message has no delivery report yet." in page
    assert "unconfirmed" not in page
    assert not campaign.resends.exists()


def test_confirming_makes_a_linked_campaign(client: Client) -> None:
    campaign = ended(S.FAILED, S.DELIVERED)
    member(client, campaign.account)
    response = client.post(campaign_url("campaign-resend", campaign), follow=True)
    resend = campaign.resends.get()
    assert response.redirect_chain == [(campaign_url("campaign-detail", resend), 302)]
    assert resend.total_recipients == 1
    assert f'href="{campaign_url("campaign-detail", campaign)}">Spring</a>' in text(response)
    page = text(client.get(campaign_url("campaign-detail", campaign)))
    assert campaign_url("campaign-detail", resend) in page
    assert "Resend of failed messages" in text(client.get("/campaigns/"))
    assert BUTTON not in page
    again = client.post(campaign_url("campaign-resend", campaign), follow=True)
    assert "was already resent" in text(again)
    assert campaign.resends.count() == 1
    assert client.get(campaign_url("campaign-resend", campaign)).status_code == 302


def test_the_unconfirmed_are_sent_again_only_when_ticked_and_with_a_warning(client: Client) -> None:
    campaign, other = ended(S.FAILED, S.UNCONFIRMED), ended(S.FAILED, S.UNCONFIRMED)
    member(client, campaign.account)
    page = text(client.get(campaign_url("campaign-resend", campaign)))
    assert "These recipients may get the message twice" in page
    client.post(campaign_url("campaign-resend", campaign), {"also": "unconfirmed"})
    assert campaign.resends.get().total_recipients == 2
    client.force_login(other.user)
    client.post(campaign_url("campaign-resend", other))
    assert other.resends.get().total_recipients == 1


@pytest.mark.parametrize("status", ["delivered", "sent", "suppressed", "nonsense"])
def test_nothing_else_can_be_asked_for(client: Client, status: str) -> None:
    campaign = ended(S.FAILED, S.SUPPRESSED)
    member(client, campaign.account)
    assert client.post(campaign_url("campaign-resend", campaign), {"also": status}).status_code == 404
    assert not campaign.resends.exists()


def test_no_button_where_nothing_failed_or_it_still_runs(client: Client) -> None:
    account = AccountFactory()
    member(client, account)
    running = ended(S.FAILED, account=account)
    Campaign.objects.filter(pk=running.pk).update(status=CampaignStatus.RUNNING)
    for campaign in (ended(S.DELIVERED, account=account), running):
        assert BUTTON not in text(client.get(campaign_url("campaign-detail", campaign)))
        assert client.get(campaign_url("campaign-resend", campaign)).status_code == 302


def test_viewers_and_strangers_send_nothing_again(client: Client) -> None:
    campaign = ended(S.FAILED)
    member(client, campaign.account, Role.VIEWER)
    assert BUTTON not in text(client.get(campaign_url("campaign-detail", campaign)))
    assert client.post(campaign_url("campaign-resend", campaign)).status_code == 403
    member(client, AccountFactory())
    assert client.post(campaign_url("campaign-resend", campaign)).status_code == 404
    assert not campaign.resends.exists()


def test_a_draft_that_is_being_gathered_says_so_and_can_be_cancelled(client: Client) -> None:
    campaign = ended(S.FAILED)
    draft = resends.create_resend(campaign, campaign.user, ["failed"])
    member(client, campaign.account)
    page = text(client.get(campaign_url("campaign-detail", draft)))
    assert "Recipients are being collected from the original campaign" in page
    assert 'hx-trigger="every 5s"' in page
    client.post(campaign_url("campaign-cancel", draft))
    assert BUTTON in text(client.get(campaign_url("campaign-detail", campaign)))


@pytest.mark.parametrize("count", [1, 200])
def test_the_page_asks_the_database_as_often_for_many_messages_as_for_one(
    client: Client, count: int, django_assert_num_queries
) -> None:
    campaign = ended(*[S.FAILED] * count)
    member(client, campaign.account)
    with django_assert_num_queries(5):  # session, user, membership, campaign, its resends
        client.get(campaign_url("campaign-resend", campaign))


# --- Stopping and going on --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_call", "words"),
    [
        (0, "Nothing was on its way."),
        (1, "1 message was already on its way and could not be stopped."),
        (2, "2 messages were already on their way and could not be stopped."),
    ],
)
@pytest.mark.parametrize(("action", "done"), [("pause", "Paused"), ("cancel", "Cancelled")])
def test_stopping_says_how_many_could_not_be_stopped(
    client: Client, action: str, done: str, in_call: int, words: str
) -> None:
    campaign = make_campaign(count=3)
    batch = make_batch(campaign, [S.QUEUED] * 3, lease_epoch=1, state="leased")
    if in_call:
        make_attempt(batch, "open", in_call)
    member(client, campaign.account)
    page = text(client.post(campaign_url(f"campaign-{action}", campaign), follow=True))
    assert f"{done}. {words}" in page


def test_resuming_says_what_goes_on(client: Client) -> None:
    campaign = make_campaign(count=3)
    make_batch(campaign, [S.QUEUED, S.SENT])
    Campaign.objects.filter(pk=campaign.pk).update(queued=1, sent=1)
    campaign.refresh_from_db()
    services.pause(campaign, campaign.user)
    member(client, campaign.account)
    page = text(client.post(campaign_url("campaign-resume", campaign), follow=True))
    assert "Sending resumes. 2 messages are still to be sent." in page


# --- The console ------------------------------------------------------------------------------------------


def act(client: Client, action: str, *campaigns: Campaign, **data: str) -> str:
    chosen = {"action": action, "_selected_action": [campaign.pk for campaign in campaigns]}
    return text(client.post(reverse("admin:campaigns_campaign_changelist"), chosen | data, follow=True))


def test_an_operator_sends_failed_messages_again(admin_client: Client) -> None:
    campaign, other = ended(S.FAILED, S.UNDELIVERED), ended(S.DELIVERED)
    page = act(admin_client, "resend", campaign, other)
    assert "Send the 2 failed messages of these campaigns again, as new campaigns?" in page
    assert not campaign.resends.exists()
    page = act(admin_client, "resend", campaign, other, confirmed="yes")
    assert "1 campaign: sent again." in page
    assert "no failed messages to send again" in page
    resend = campaign.resends.get()
    for shown, linked in ((campaign, resend), (resend, campaign)):
        page = text(admin_client.get(reverse("admin:campaigns_campaign_change", args=[shown.pk])))
        assert reverse("admin:campaigns_campaign_change", args=[linked.pk]) in page


def test_an_operator_is_told_what_could_not_be_stopped(admin_client: Client) -> None:
    campaigns = [make_campaign(count=2), make_campaign(count=2)]
    for campaign in campaigns:
        make_attempt(make_batch(campaign, [S.QUEUED] * 2, lease_epoch=1, state="leased"), "open", 2)
    assert "4 messages were already on their way" in act(admin_client, "pause", *campaigns, confirmed="yes")
    assert "4 messages are still to be sent." in act(admin_client, "resume", *campaigns, confirmed="yes")
    Batch.objects.update(state="ready")
    assert "Nothing was on its way." in act(admin_client, "cancel", *campaigns, confirmed="yes")


@pytest.mark.django_db(transaction=True)
def test_holding_an_account_says_how_many_could_not_be_stopped(admin_client: Client) -> None:
    campaign = make_campaign(count=2)
    make_attempt(make_batch(campaign, [S.QUEUED] * 2, lease_epoch=1, state="leased"), "open", 2)
    form = {
        "name": "Shop",
        "default_country": "DE",
        "currency": "EUR",
        "low_balance_micro": "0",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    account_url = reverse("admin:accounts_account_change", args=[campaign.account.pk])
    page = text(admin_client.post(account_url, form, follow=True))
    assert "Shop is on hold. 2 messages were already on their way and could not be stopped." in page
