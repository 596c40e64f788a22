"""Overview and reports: right figures, from as many queries however much there is."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override
from pytest_django import DjangoAssertNumQueries

from accounts.models import Account
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import MessageStatus
from messaging.models import Batch, Message
from reports.models import DailyCountry, DailyStat
from reports.selectors import failures
from reports.selectors.overview import deliveries, problems, spans
from smsapp.lib.csv_safety import csv_line
from tests.support.builders import make_batch
from tests.support.factories import AccountFactory, MembershipFactory, make_campaign
from tests.support.pages import html_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TODAY = timezone.now().date()


@pytest.fixture
def account() -> Account:
    return AccountFactory()


@pytest.fixture
def member(client: Client, account: Account) -> Client:
    client.force_login(MembershipFactory(account=account).user)
    return client


def stat(account: Account, days_ago: int, **counts: int) -> None:
    DailyStat.objects.create(account=account, mode="live", day=TODAY - timedelta(days=days_ago), **counts)


def test_spans_compare_with_the_time_before(account: Account) -> None:
    stat(account, 0, delivered=80, undelivered=20, segments=100)
    stat(account, 1, delivered=40, undelivered=10)
    stat(account, 8, delivered=50)
    stat(AccountFactory(), 0, delivered=1000)
    today, week, month = spans(account, "live", TODAY)
    assert (today.sent.now, today.sent.before, today.sent.percent) == (100, 50, 100)
    assert (week.sent.now, week.sent.before) == (150, 50)
    assert (month.sent.now, month.sent.before, month.sent.percent) == (200, 0, None)
    assert today.delivered_percent.now == 80
    assert today.failed.now == 20
    assert today.delivered_percent.before == 80
    assert (today.since, week.since) == (TODAY, TODAY - timedelta(days=6))
    assert today.spend is None


@pytest.mark.parametrize("count", [1, 30])
def test_overview_asks_as_often_for_thirty_campaigns_as_for_one(
    member: Client, account: Account, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign(account)
    for n in range(count):
        other = make_campaign(account, audience=campaign.audience)
        make_batch(other, [MessageStatus.DELIVERED] * 3, part=n)
        stat(account, n, delivered=3)
    Campaign.objects.update(status=CampaignStatus.RUNNING, started_at=timezone.now())
    member.get(reverse("overview"))
    # session, user, memberships, days twice, campaigns, times of deliveries (2), countries, problems (4)
    with django_assert_num_queries(13):
        member.get(reverse("overview"))


def test_problems_name_what_needs_a_hand(account: Account) -> None:
    paused = make_campaign(account, name="Paused one")
    paused.status = CampaignStatus.PAUSED
    assert [problem.text for problem in problems(account, "live", [paused])] == ["“Paused one” is paused."]
    assert problems(account, "live", []) == []


def test_failures_are_grouped_by_their_reason(account: Account) -> None:
    campaign = make_campaign(account, count=5)
    statuses = [MessageStatus.UNDELIVERED] * 3 + [MessageStatus.REJECTED, MessageStatus.DELIVERED]
    make_batch(campaign, statuses)
    found = failures(campaign)
    assert [(one.status, one.count, one.percent) for one in found] == [("undelivered", 3, 75), ("rejected", 1, 25)]


def test_reasons_are_read_once_until_more_fails_and_for_each_language(
    account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign(account, count=5)
    campaign.undelivered = 7_654_321  # as in no other test: numbers of campaigns come again in SQLite
    make_batch(campaign, [MessageStatus.UNDELIVERED] * 2)
    for language, queries in (("en", 2), ("en", 0), ("de", 2), ("de", 0)):
        with override(language), django_assert_num_queries(queries):
            failures(campaign)
    campaign.undelivered += 1
    with django_assert_num_queries(2):
        failures(campaign)


def test_deliveries_tell_how_long_it_took(account: Account) -> None:
    assert deliveries(account, "live") is None
    campaign = make_campaign(account)
    batch = make_batch(campaign, [MessageStatus.DELIVERED] * 4)
    now = timezone.now()
    for n, message in enumerate(Message.objects.in_batch(batch.pk)):
        message.sent_at, message.done_at = now, now + timedelta(seconds=n + 1)
        message.save(update_fields=["sent_at", "done_at"])
    found = deliveries(account, "live")
    assert found is not None
    assert (found.count, found.median, found.most) == (4, 3, 4)
    assert found.spread[:3] == [("to 2 s", 2), ("to 5 s", 2), ("to 15 s", 0)]
    assert sum(count for _, count in found.spread) == 4


def test_reports_tell_senders_gateways_countries_and_money_apart(member: Client, account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(is_metered=True)
    stat(account, 0, sender_id="Shop", gateway="infobip", delivered=8, undelivered=2, segments=10, spent_micro=700_000)
    stat(account, 1, sender_id="Shop", gateway="twilio", delivered=5, segments=5, spent_micro=450_000)
    stat(account, 1, sender_id="", gateway="", queued=7)
    for days_ago, country, count in ((0, "DE", 9), (1, "AT", 4), (1, "DE", 2), (40, "FR", 99)):
        day = TODAY - timedelta(days=days_ago)
        DailyCountry.objects.create(account=account, mode="live", day=day, country=country, messages=count)
    page = member.get(reverse("reports"), {"days": "30"})
    (_, _, senders), (_, _, gateways) = page.context["shares"]
    assert [(row["name"], row["sent"], row["failed"], row["spent"]) for row in senders] == [("Shop", 15, 2, 1.15)]
    assert [(row["name"], row["sent"], row["percent"]) for row in gateways] == [("infobip", 10, 80), ("twilio", 5, 100)]
    assert [(share.code, share.recipients) for share in page.context["countries"]] == [("DE", 11), ("AT", 4)]
    assert b"".join(member.get(reverse("countries-csv"))).decode("utf-8-sig").split() == [
        "country,messages",
        "DE,11",
        "AT,4",
    ]
    assert b"".join(member.get(reverse("times-csv"))).decode("utf-8-sig").splitlines() == [
        "seconds to deliver,messages"
    ]
    assert page.context["spent"] == 1.15
    assert page.context["form"]["days"].value() == "30"
    today, week, _month = spans(Account.objects.get(pk=account.pk), "live", TODAY)
    assert (today.spend.now, today.spend.before, week.spend.now) == (0.7, 0.45, 1.15)


def test_days_as_csv_hold_every_day(member: Client, account: Account) -> None:
    stat(account, 0, delivered=3, undelivered=1, segments=4)
    lines = b"".join(member.get(reverse("days-csv"), {"days": "7"})).decode("utf-8-sig").splitlines()
    assert len(lines) == 8
    assert lines[-1].startswith(f"{TODAY},4,")


def test_no_cell_runs_as_a_formula() -> None:
    assert csv_line(["=1+1", "+4915112345678", "@x", "-5", "plain"]) == b"'=1+1,+4915112345678,'@x,'-5,plain\r\n"


def test_a_share_of_nothing_is_a_dash(member: Client, account: Account) -> None:
    stat(account, 0, queued=3)
    overview, reports = (html_of(member.get(reverse(name))) for name in ("overview", "reports"))
    assert "0.0 %" not in overview + reports
    assert "<dt>Delivered</dt><dd>–<small>0</small></dd>" in reports
    assert reports.count("–</td>") == 1  # its row in the table of days


def test_figures_lead_to_just_the_messages_they_count(member: Client, account: Account) -> None:
    campaign = make_campaign(account, count=10)
    statuses = [status for status in MessageStatus if status is not MessageStatus.QUEUED]
    make_batch(campaign, statuses)
    old = make_batch(campaign, statuses, part=1)
    Batch.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=10))
    stat(account, 0, **{status.label: 1 for status in statuses})
    stat(account, 10, **{status.label: 1 for status in statuses})
    page = member.get(reverse("overview"))
    links = re.findall(r'href="([^"]*/messages/\?[^"]*)">([^<]+)</a>', page.content.decode().replace("&amp;", "&"))
    assert len(links) == 9
    for (address, figure), span in zip(links, [span for span in page.context["spans"] for _ in range(3)], strict=True):
        found = member.get(address)
        assert found.context["form"].errors == {}
        expected = span.delivered_percent.now and (1 if span.days < 30 else 2) if "%" in figure else int(figure)
        assert len(found.context["rows"]) == expected, address


def test_days_are_those_of_the_messages_by_number_or_not(member: Client, account: Account) -> None:
    """One of a campaign's two batches was made ten days ago."""
    campaign = make_campaign(account, count=2)
    make_batch(campaign, [MessageStatus.SENT])
    old = make_batch(campaign, [MessageStatus.SENT], part=1)
    Batch.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=10))
    Message.objects.update(phone_number="+4915112345678")
    for number in ("", "&number=%2B4915112345678"):
        rows = member.get(f"{reverse('message-search')}?since={TODAY}{number}").context["rows"]
        assert [message.batch_id for message, _ in rows] == [old.pk - 1]
        rows = member.get(f"{reverse('message-search')}?until={TODAY - timedelta(days=5)}{number}").context["rows"]
        assert [message.batch_id for message, _ in rows] == [old.pk]


def test_largest_campaigns_are_campaigns(member: Client, account: Account) -> None:
    named, single = make_campaign(account, name="Sale"), make_campaign(account, kind="single", count=5)
    Campaign.objects.update(started_at=timezone.now())
    assert [found for found, _ in member.get(reverse("reports")).context["largest"]] == [named]
    choices = member.get(reverse("message-search")).context["form"].fields["campaign"].widget.choices
    assert choices == [("", "All"), (named.bulk_id, "Sale")]
    given = member.get(reverse("message-search"), {"campaign": single.bulk_id}).context["form"]
    assert (single.bulk_id, single.title) in given.fields["campaign"].widget.choices
