"""Operators pause, resume and cancel in the console: asked first, through the services, logged."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from tests.support.factories import make_campaign

pytestmark = [pytest.mark.django_db, pytest.mark.once]

LIST = "admin:campaigns_campaign_changelist"


def act(client: Client, action: str, *campaigns: Campaign, confirmed: bool = True) -> str:
    data: dict[str, object] = {"action": action, "_selected_action": [campaign.pk for campaign in campaigns]}
    if confirmed:
        data["confirmed"] = "yes"
    return client.post(reverse(LIST), data, follow=True).content.decode()


@pytest.mark.parametrize(
    ("action", "question"), [("pause", "Pause these"), ("resume", "Resume these"), ("cancel", "for good?")]
)
def test_action_asks_before_it_does_anything(admin_client: Client, action: str, question: str) -> None:
    campaign = make_campaign(name="Spring")
    before = campaign.status
    page = act(admin_client, action, campaign, confirmed=False)
    assert question in page
    assert "Spring" in page
    campaign.refresh_from_db()
    assert campaign.status == before


def test_confirmed_actions_move_the_campaign_and_are_logged(admin_client: Client) -> None:
    campaign = make_campaign()
    for action, expected in (
        ("pause", CampaignStatus.PAUSED),
        ("resume", CampaignStatus.RUNNING),
        ("cancel", CampaignStatus.CANCELLED),
    ):
        act(admin_client, action, campaign)
        campaign.refresh_from_db()
        assert campaign.status == expected
    logged = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert list(logged) == ["Paused.", "Resumed.", "Cancelled."]


def test_refusal_is_shown_and_does_not_stop_the_others(admin_client: Client) -> None:
    done, running = make_campaign(name="Done"), make_campaign(name="Going")
    Campaign.objects.filter(pk=done.pk).update(status=CampaignStatus.COMPLETED)
    page = act(admin_client, "pause", done, running)
    assert "Done: A campaign in the state “Completed” cannot change to “Paused”." in page
    running.refresh_from_db()
    assert running.status == CampaignStatus.PAUSED


def test_no_field_of_a_campaign_can_be_written(admin_client: Client) -> None:
    campaign = make_campaign(name="Spring")
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    admin_client.post(url, {"name": "Other", "status": "completed", "delivered": "99"})
    campaign.refresh_from_db()
    assert (campaign.name, campaign.status, campaign.delivered) == ("Spring", CampaignStatus.RUNNING, 0)


def test_search_and_filters_find_a_campaign(admin_client: Client) -> None:
    campaign, _ = make_campaign(kind="single"), make_campaign()
    for query in ({"q": campaign.bulk_id}, {"q": campaign.account.name}, {"kind": "single"}):
        found = admin_client.get(reverse(LIST), query).context["cl"].queryset
        assert list(found) == [campaign], query


@pytest.mark.parametrize("count", [1, 30])
def test_list_asks_the_database_as_often_for_thirty_campaigns_as_for_one(
    admin_client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign()
    for _ in range(count - 1):
        make_campaign(campaign.account, audience=campaign.audience)
    with django_assert_num_queries(4):  # session, user, how many, campaigns with their accounts
        admin_client.get(reverse(LIST))
