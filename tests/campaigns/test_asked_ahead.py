"""What has to be asked of somebody else is asked ahead of the transaction, which would hold rows meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.choices import EndpointKind
from accounts.models import Account, WebhookEndpoint
from accounts.webhooks import destinations, endpoints
from campaigns.choices import CampaignKind
from campaigns.models import Campaign, RecurringCampaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling import recurring
from campaigns.scheduling.rule import Rule
from campaigns.validation import CampaignRequest
from messaging.choices import MessageStatus
from messaging.models import Message
from messaging.restore import detection
from tests.support.builders import make_batch
from tests.support.factories import AccountFactory, MembershipFactory, make_campaign, phones
from tests.support.pages import Browser

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://hooks.example.com/in"


@pytest.fixture
def account() -> Account:
    return AccountFactory(default_country="DE")


@pytest.fixture
def member(client: Browser, account: Account) -> Browser:
    client.force_login(MembershipFactory(account=account).user)
    return client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each question whether it was asked inside a transaction."""
    inside: list[bool] = []
    check = detection.check

    def look_up(*_args: Any) -> list[destinations.Address]:
        inside.append(connection.in_atomic_block)
        return [destinations.ip_address("93.184.215.14")]

    def signs() -> Any:
        inside.append(connection.in_atomic_block)
        return check()

    monkeypatch.setattr(destinations, "_look_up", look_up)
    destinations._resolve_once.cache_clear()
    monkeypatch.setattr(detection, "check", signs)
    monkeypatch.setattr(detection._last_look, "is_valid", False)
    return inside


def switch_off() -> None:
    WebhookEndpoint.objects.update(is_active=False)
    destinations._resolve_once.cache_clear()


def test_a_try_out_looks_for_a_restored_backup(member: Browser, account: Account, asked: list[bool]) -> None:
    draft = make_campaign(account)
    Campaign.objects.update(status="draft", started_at=None)
    asked.clear()
    detection._last_look.is_valid = False
    form = {"phone_number": phones(1)[0], "once": "a" * 32}
    member.post(reverse("wizard-try", args=[draft.bulk_id]), form)
    assert Message.objects.count() == 1
    assert asked == [False]


def test_an_endpoint_is_looked_up_when_it_is_switched_on(member: Browser, account: Account, asked: list[bool]) -> None:
    endpoint, _secret = endpoints.create(account, "live", MembershipFactory(account=account).user, URL)
    switch_off()
    asked.clear()
    member.post(reverse("webhook-enable", args=[endpoint.endpoint_id]), {"once": "a" * 32})
    assert WebhookEndpoint.objects.get().is_active
    assert asked == [False]


def test_a_resend_looks_up_where_its_results_go(member: Browser, account: Account, asked: list[bool]) -> None:
    campaign = make_campaign(account, callback_url=URL)
    make_batch(campaign, [MessageStatus.UNDELIVERED])
    Campaign.objects.update(status="completed", undelivered=1)
    switch_off()
    asked.clear()
    member.post(reverse("campaign-resend", args=[campaign.bulk_id]), {"once": "a" * 32})
    assert Campaign.objects.count() == 2
    assert asked == [False]


def test_a_recurring_campaign_looks_it_up_before_each_moment(account: Account, asked: list[bool]) -> None:
    request = CampaignRequest(kind=CampaignKind.BULK, message="Hello", callback_url=URL)
    user, rule = MembershipFactory(account=account).user, Rule("0", "9", "*", "*", "*", "UTC")
    row = recurring.create_recurring(account, user, request, rule, RecipientSource(phone_numbers=phones(1)))
    destinations._resolve_once.cache_clear()
    recurring.change_recurring(row, user, {"name": "Daily"})
    destinations._resolve_once.cache_clear()
    RecurringCampaign.objects.update(next_run_at=timezone.now() - timedelta(seconds=1))
    assert recurring.fire_due(timezone.now()) == 1
    assert WebhookEndpoint.objects.get().kind == EndpointKind.CALLBACK
    assert asked[:3] == [False] * 3
    assert not any(asked)
