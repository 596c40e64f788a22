"""What the console's lists show is true, and what they are asked for is cheap."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Setting
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import BatchState, GatewayKind, Lane
from messaging.gateways import balance, registry
from messaging.models import Batch, Gateway, Message
from messaging.routing import throttle
from messaging.sending import expansion
from reports.selectors import attention
from smsapp.core.exceptions import ServiceUnavailable
from tests.support.factories import AccountFactory, make_campaign, phones

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MESSAGES = "/admin/messaging/message/"


def titles() -> list[str]:
    return [notice.title for notice in attention()]


@pytest.mark.parametrize("address", [MESSAGES, "/admin/messaging/batch/", "/admin/campaigns/campaign/"])
def test_a_big_list_is_not_sorted_by_whatever_its_address_says(admin_client: Client, address: str) -> None:
    make_campaign(count=3)
    expansion.expand_ready()
    page = admin_client.get(f"{address}?o=2.3")
    assert page.status_code == 200
    assert set(page.context["cl"].queryset.query.order_by) == {"-id"}
    assert "sortable" not in page.content.decode()


def test_a_count_that_stopped_says_so(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsapp.console.admin.COUNT_LIMIT", 2)
    make_campaign(count=2)
    expansion.expand_ready()
    assert "More than" not in admin_client.get(MESSAGES).content.decode()
    make_campaign(count=1)
    expansion.expand_ready()
    assert "More than 2 messages" in admin_client.get(MESSAGES).content.decode()


@pytest.mark.parametrize("spelling", ["+4915112000001", "015112000001", "0151 120 000 01", "0049 151 12000001"])
def test_a_number_is_found_in_any_spelling(admin_client: Client, spelling: str) -> None:
    make_campaign(AccountFactory(default_country="DE"), count=3)
    expansion.expand_ready()
    page = admin_client.get(MESSAGES, {"q": spelling})
    assert [row.phone_number for row in page.context["cl"].result_list] == [phones(2)[1]]


def test_a_search_that_can_find_nothing_says_what_can_be_found(admin_client: Client) -> None:
    assert "You cannot search for this" in admin_client.get(MESSAGES, {"q": "Anna"}).content.decode()


def test_a_confirmation_shows_text_recipients_and_cost(admin_client: Client) -> None:
    Account.objects.update(is_metered=False)
    campaign = make_campaign(count=3, message="Buy now")
    Account.objects.update(is_metered=True)
    Campaign.objects.update(reserved_micro=210_000)
    chosen = {"action": "cancel", "_selected_action": [campaign.pk]}
    page = admin_client.post("/admin/campaigns/campaign/", chosen).content.decode()
    assert "“Buy now”" in page
    assert "3 recipients" in page
    assert "0.21 EUR" in page


def test_times_have_seconds_and_their_zone(admin_client: Client) -> None:
    campaign = make_campaign()
    page = admin_client.get("/admin/campaigns/campaign/").content.decode()
    assert campaign.created_at.strftime("%Y-%m-%d %H:%M:%S UTC") in page


def test_what_needs_a_hand_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not titles()
    Campaign.objects.filter(pk=make_campaign().pk).update(status=CampaignStatus.AWAITING_APPROVAL)
    AccountFactory(is_metered=True, balance_micro=0)
    monkeypatch.setattr(throttle, "is_down", lambda name: name == registry.SIMULATOR)
    assert titles() == [
        "Gateways that are down",
        "Campaigns that wait for approval",
        "Accounts whose credit is used up",
    ]


def test_what_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    make_campaign(count=1)
    expansion.expand_ready()
    Batch.objects.update(lane=Lane.SINGLES)
    assert not titles()
    before = timezone.now() - timedelta(minutes=2)
    Batch.objects.update(created_at=before, next_attempt_at=before)
    assert titles() == ["Single sends that have waited for more than a minute"]
    Gateway.objects.create(name="simulated", kind=GatewayKind.HTTP)
    Batch.objects.update(gateway="simulated", lane=Lane.CAMPAIGNS)
    assert titles() == ["Gateways that are off while messages wait for them"]
    assert Batch.objects.get().state == BatchState.READY
    assert Message.objects.exists()


def test_a_balance_of_another_gateway_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(mode: Any) -> Any:
        raise ServiceUnavailable("It does not tell.")

    monkeypatch.setattr(balance, "provider_balance", silent)
    Setting.objects.create(key=balance.KEY, value='{"balance": "5", "gateway": "simulator"}')
    assert not balance.check()
    assert Setting.objects.filter(key=balance.KEY).exists(), "its own, a little old"
    Setting.objects.filter(key=balance.KEY).update(value='{"balance": "5", "gateway": "other"}')
    assert not balance.check()
    assert not Setting.objects.filter(key=balance.KEY).exists()
