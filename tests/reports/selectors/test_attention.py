"""What needs an operator's hand is counted in a few statements, each set for itself."""

from importlib import import_module

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.choices import SenderStatus
from campaigns.choices import CampaignStatus, PauseReason
from campaigns.models import Campaign
from messaging.models import ReportInbox
from reports.selectors import attention
from tests.support.factories import SenderIdFactory, make_campaign

pytestmark = pytest.mark.django_db


def make_campaigns(count: int, status: CampaignStatus, reason: str = "") -> None:
    made = [make_campaign().pk for _ in range(count)]
    Campaign.objects.filter(pk__in=made).update(status=status, pause_reason=reason)


def test_every_notice_counts_its_own_rows() -> None:
    make_campaigns(1, CampaignStatus.RUNNING)
    make_campaigns(2, CampaignStatus.PAUSED, PauseReason.BY_USER)
    make_campaigns(3, CampaignStatus.MISSED)
    make_campaigns(4, CampaignStatus.PAUSED, PauseReason.GATEWAY_REFUSED)
    make_campaigns(2, CampaignStatus.PAUSED, PauseReason.MESSAGES_REFUSED)
    SenderIdFactory(account=Campaign.objects.all()[0].account, status=SenderStatus.PENDING)
    for _ in range(5):
        ReportInbox.objects.create(gateway="simulator", source="push", body=b"", failure_count=1)
    assert [(notice.title, notice.count) for notice in attention()] == [
        ("Campaigns paused: the gateway refuses our account", 4),
        ("Campaigns paused: the gateway refuses one message after the other", 2),
        ("Report bodies that could not be applied", 5),
        ("Campaigns that missed their time", 3),
        ("Sender IDs waiting for approval", 1),
        ("Campaigns paused by a person", 2),
    ]


def test_counting_stops_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("reports.selectors.attention"), "COUNT_LIMIT", 2)
    make_campaigns(3, CampaignStatus.MISSED)
    (notice,) = attention()
    assert (notice.count, notice.shown_count) == (2, "2+")


def test_front_page_asks_the_database_seventeen_times(
    admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_campaigns(3, CampaignStatus.MISSED)
    # session, user, settings, gateways, twelve of notices, the operator's own actions
    with django_assert_num_queries(17):
        admin_client.get(reverse("admin:index"))
