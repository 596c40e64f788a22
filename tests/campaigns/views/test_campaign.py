"""Campaign list, campaign page with live progress, messages and their timelines."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.choices import Mode, Role
from accounts.models import WebhookDelivery, WebhookEndpoint
from campaigns.choices import CampaignKind, CampaignStatus, PauseReason
from campaigns.models import Campaign
from messaging.choices import AttemptState, MessageStatus, Reason
from messaging.ids import make_message_pk, public_id
from messaging.models import Batch, DeliveryReport, Message
from reports.selectors import advice, campaign_progress, message_page, message_timeline
from reports.selectors.progress import in_words
from tests.support.builders import make_attempt, make_batch
from tests.support.factories import AccountFactory, MembershipFactory, make_audience, make_campaign, make_upload, phones
from tests.support.pages import Browser, campaign_url, html_of, member
from uploads.audiences import audience_from_numbers
from uploads.chunks import RefusedRow
from uploads.contacts import create_list, put_contact, rename_list, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.once]
EXPLAINED_BY_REASON = {
    MessageStatus.DELIVERED,
    MessageStatus.FAILED,
    MessageStatus.EXPIRED,
    MessageStatus.SUPPRESSED,
}


# --- The list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 30])
def test_list_asks_the_database_as_often_for_thirty_campaigns_as_for_one(
    client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign()
    for _ in range(count - 1):
        make_campaign(campaign.account, audience=campaign.audience)
    member(client, campaign.account)
    client.get("/campaigns/")  # the first call of a session notes when it was
    with django_assert_num_queries(4):  # session, user, memberships, campaigns
        response = client.get("/campaigns/")
    assert len(response.context["campaigns"]) == min(count, 25)


def test_list_is_newest_first_and_pages_through_everything_once(client: Client) -> None:
    campaign = make_campaign(name="Campaign 0")
    for n in range(1, 30):
        make_campaign(campaign.account, audience=campaign.audience, name=f"Campaign {n}")
    member(client, campaign.account)
    first = client.get("/campaigns/")
    second = client.get("/campaigns/", {"before": first.context["next_before"]})
    names = [shown.name for page in (first, second) for shown, _ in page.context["campaigns"]]
    assert names == [f"Campaign {n}" for n in range(29, -1, -1)]
    assert second.context["next_before"] is None


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("name", lambda campaign: (campaign.name, -campaign.pk)),
        ("recipients", lambda campaign: (-campaign.total_recipients, -campaign.pk)),
        ("delivered", lambda campaign: (-campaign.delivered, -campaign.pk)),
    ],
)
def test_list_in_another_order_pages_through_everything_once(client: Client, sort: str, key: Any) -> None:
    account = AccountFactory()
    first = make_campaign(account)
    for n in range(60):
        campaign = make_campaign(account, audience=first.audience, name=f"No. {n % 7}")
        Campaign.objects.filter(pk=campaign.pk).update(total_recipients=n % 5, delivered=n % 4)
    client = member(client, account)
    seen, address = [], f"?sort={sort}"
    while address:
        page = client.get(reverse("campaign-list") + address)
        seen += [campaign.pk for campaign, _ in page.context["campaigns"]]
        before = page.context["next_before"]
        address = f"?sort={sort}&before={before}" if before else ""
    assert seen == [campaign.pk for campaign in sorted(Campaign.objects.all(), key=key)]


def test_list_can_be_searched_by_name_and_state(client: Client) -> None:
    account = AccountFactory()
    for name, status in (("Spring", "paused"), ("Late spring", "running"), ("Autumn", "paused")):
        campaign = make_campaign(account, name=name)
        Campaign.objects.filter(pk=campaign.pk).update(status=status)
    client = member(client, account)

    def found(**query: str) -> list[str]:
        page = client.get(reverse("campaign-list"), query)
        return sorted(campaign.name for campaign, _ in page.context["campaigns"])

    assert found(name="spring") == ["Late spring", "Spring"]
    assert found(name="spring", status="paused") == ["Spring"]
    assert found(name="%") == []
    assert "No campaigns match these filters" in client.get(reverse("campaign-list"), {"name": "%"}).content.decode()


@pytest.mark.parametrize("query", ["sort=created", "sort=name&before=99999", "sort=name&kind=single", "status=x"])
def test_an_order_or_state_that_does_not_exist_is_not_found(client: Client, query: str) -> None:
    assert member(client, AccountFactory()).get(f"{reverse('campaign-list')}?{query}").status_code == 404


def test_list_shows_neither_other_accounts_nor_single_sends_nor_test_campaigns(client: Browser) -> None:
    campaign = make_campaign(name="Mine")
    make_campaign(name="Of others")
    make_campaign(campaign.account, kind="single", name="Single")
    make_campaign(campaign.account, mode=Mode.TEST, name="Only a test")
    member(client, campaign.account)
    assert [shown.name for shown, _ in client.get("/campaigns/").context["campaigns"]] == ["Mine"]
    client.enter(campaign.account, Mode.TEST)
    assert [shown.name for shown, _ in client.get("/campaigns/").context["campaigns"]] == ["Only a test"]


def test_empty_list_teaches_the_first_step(client: Client) -> None:
    page = member(client, AccountFactory()).get("/campaigns/").content.decode()
    assert f'href="{reverse("new-campaign")}"' in page
    assert 'href="/api/v1/docs"' in page


@pytest.mark.parametrize("query", ["before=x", "before=-1", "before=99999999999999999999"])
def test_nonsense_in_the_address_is_404(client: Client, query: str) -> None:
    assert member(client, AccountFactory()).get(f"/campaigns/?{query}").status_code == 404


# --- The campaign page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 30])
def test_campaign_page_asks_the_database_as_often_for_thirty_batches_as_for_one(
    client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign()
    Campaign.objects.update(status=CampaignStatus.COMPLETED)
    for part in range(count):
        make_attempt(make_batch(campaign, [MessageStatus.DELIVERED] * 10, part=part), AttemptState.ANSWERED, 10)
    member(client, campaign.account).get(
        campaign_url("campaign-detail", campaign)
    )  # the process learns the prefix of ids
    # session, user, memberships, campaign, its resends, its audience with the upload, batches, messages, the audit
    # log, countries
    with django_assert_num_queries(10):
        response = client.get(campaign_url("campaign-detail", campaign))
    assert len(response.context["page"].rows) == min(10 * count, 50)


@pytest.mark.parametrize("status", [CampaignStatus.RUNNING, CampaignStatus.COMPLETED])
def test_live_part_asks_the_database_five_times_while_nothing_has_changed(
    client: Client, status: CampaignStatus, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign()
    Campaign.objects.update(status=status)
    page = member(client, campaign.account).get(campaign_url("campaign-detail", campaign))
    shown = f"{campaign_url('campaign-live', campaign)}?{page.context['live_query']}"
    # session, user, memberships, campaign; the newest calls while it runs, resends when it is over
    with django_assert_num_queries(5):
        same = client.get(shown)
    assert "hx-swap-oob" not in same.content.decode()


def test_all_parts_of_the_page_change_together(client: Client) -> None:
    """Never “Completed” above what says that nothing was sent."""
    campaign = make_campaign(count=3)
    Campaign.objects.update(started_at=None)
    page = member(client, campaign.account).get(campaign_url("campaign-detail", campaign))
    assert "No messages yet" in page.content.decode()
    make_batch(campaign, [MessageStatus.SENT, MessageStatus.SENT, MessageStatus.UNDELIVERED])
    now = timezone.now()
    Campaign.objects.update(status=CampaignStatus.COMPLETED, started_at=now, completed_at=now, sent=2, undelivered=1)
    shown = f"{campaign_url('campaign-live', campaign)}?{page.context['live_query']}"
    moved = html_of(client.get(shown))
    for part in ("facts", "insight", "message-page"):
        assert re.search(f'<div id="{part}"[^>]* hx-swap-oob="true"', moved)
    assert "No messages yet" not in moved
    assert moved.count('class="cell-row') == 3
    for label in ("Started", "Completed"):
        assert re.search(f"<dt>{label}</dt><dd><time ", moved)
    assert "Why messages failed" in moved
    filtered = client.get(shown, {"shown": "x", "status": "undelivered", "after": "1"}).content.decode()
    assert filtered.count('class="cell-row') == 1
    assert "status=undelivered&amp;after=1" in filtered


@pytest.mark.parametrize(
    ("counts", "colour", "said"),
    [
        (
            {"sent": 73, "delivered": 27},
            "reporting",
            "All messages have been processed. 73 messages have no delivery report yet.",
        ),
        (
            {"sent": 1, "delivered": 99},
            "reporting",
            "All messages have been processed. 1 message has no delivery report yet.",
        ),
        (
            {"delivered": 90, "undelivered": 10},
            "completed",
            "All messages have been processed. All outcomes are known.",
        ),
        (
            {"delivered": 27, "undelivered": 73},
            "undelivered",
            "All messages have been processed. All outcomes are known.",
        ),
        (
            {"delivered": 98, "unconfirmed": 2},
            "completed",
            "All messages have been processed. 2 messages were closed without a delivery report.",
        ),
    ],
)
def test_completed_says_what_it_means(client: Client, counts: dict[str, int], colour: str, said: str) -> None:
    """It is green only once it is known how it ended, and if most arrived."""
    campaign = make_campaign()
    now = timezone.now()
    fields = {"status": CampaignStatus.COMPLETED, "total_recipients": 100, "started_at": now, "completed_at": now}
    Campaign.objects.filter(pk=campaign.pk).update(**fields, **counts)
    page = member(client, campaign.account).get(campaign_url("campaign-detail", campaign)).content.decode()
    assert said in " ".join(re.sub("<[^>]*>", "", page).split())
    coloured = f'<span class="state state-{colour}">Completed</span>'
    assert coloured in page
    assert coloured in client.get(reverse("campaign-list")).content.decode()


def test_a_share_of_nothing_is_a_dash(client: Client) -> None:
    campaign = make_campaign()
    page = html_of(member(client, campaign.account).get(campaign_url("campaign-detail", campaign)))
    assert "<dt>Delivered</dt><dd>–<small>0 of 3</small>" in page
    assert len(re.findall(r"\b0\.0 %", page)) == 1  # processed


@pytest.mark.parametrize(
    ("name", "message", "title"),
    [
        ("Spring", "Hello", "Spring"),
        ("", "Your parcel\nis here.", "Your parcel is here."),
        ("", "word " * 20, "word word word word word word word word…"),
    ],
)
def test_every_page_calls_a_campaign_by_its_name_or_its_text(
    client: Client, name: str, message: str, title: str
) -> None:
    assert Campaign(name="", message="").title == "Untitled campaign"
    campaign = make_campaign(kind="single", name=name, message=message)
    make_batch(campaign, [MessageStatus.UNDELIVERED] * 3)
    Campaign.objects.update(undelivered=3, status=CampaignStatus.COMPLETED)
    member(client, campaign.account)
    pages = [
        reverse("campaign-list") + "?kind=single",
        reverse("message-search"),
        campaign_url("campaign-detail", campaign),
        campaign_url("campaign-refused", campaign),
        campaign_url("campaign-resend", campaign),
        reverse("message-detail", args=[Message.objects.all()[0].message_id]),
    ]
    for address in pages:
        words = re.sub(r"<code.*?</code>|<[^>]*>", " ", client.get(address).content.decode())
        assert title in words, address
        assert "bulk-" not in words, address


def test_no_template_shows_an_id_for_want_of_a_name() -> None:
    folder = Path(settings.BASE_DIR) / "templates"
    unreadable = [
        path.name for path in folder.rglob("*.html") if re.search(r"firstof [\w.]+ [\w.]+_id", path.read_text())
    ]
    assert unreadable == []


def test_who_a_campaign_went_to_is_said(client: Client) -> None:
    account = AccountFactory()
    owner = MembershipFactory(account=account).user
    contact_list = create_list(account, owner, "Regulars")
    put_contact(contact_list, owner, "+4915112345678", {})
    made = {
        "Contact list “Regulars”": make_campaign(account, audience=snapshot(account, contact_list.list_id)),
        "3 phone numbers": make_campaign(account),
        "people.csv": make_campaign(account, audience=make_upload(account, [(phones(1)[0],)], ["phone"]).audience),
    }
    rename_list(contact_list, owner, "Once regulars")
    client.force_login(owner)
    for words, campaign in made.items():
        assert words in client.get(campaign_url("campaign-detail", campaign)).content.decode()


def test_campaign_page_shows_text_sender_and_progress(client: Client) -> None:
    account = AccountFactory()
    audience = make_audience(account, 4, ("name",), [["Anna"]] * 4)
    campaign = make_campaign(account, audience=audience, message="Hello {name}, <b>sale</b>", name="Spring")
    make_batch(campaign, [MessageStatus.DELIVERED] * 3)
    Campaign.objects.filter(pk=campaign.pk).update(delivered=3)
    page = html_of(member(client, account).get(campaign_url("campaign-detail", campaign)))
    assert '<mark class="placeholder-name">{name}</mark>, &lt;b&gt;sale&lt;/b&gt;' in page
    assert "75.0 %" in page
    assert phones(1)[0] in page


@pytest.mark.parametrize(
    "name", ["campaign-detail", "campaign-live", "campaign-refused", "campaign-cancel", "campaign-pause"]
)
def test_campaign_of_another_account_is_404(client: Client, name: str) -> None:
    campaign = make_campaign()
    member(client, AccountFactory())
    respond = client.post if name == "campaign-pause" else client.get
    assert respond(campaign_url(name, campaign)).status_code == 404
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.RUNNING


def test_progress_refreshes_itself_until_the_last_report_is_in(client: Client) -> None:
    campaign = make_campaign()
    member(client, campaign.account)
    live = campaign_url("campaign-live", campaign)
    assert 'hx-trigger="every 2s"' in client.get(live).content.decode()
    assert f'hx-get="{live}?shown=running-' in client.get(campaign_url("campaign-detail", campaign)).content.decode()
    now = timezone.now()
    Campaign.objects.filter(pk=campaign.pk).update(status=CampaignStatus.COMPLETED, completed_at=now, sent=3)
    assert 'hx-trigger="every 5s"' in client.get(live).content.decode()
    Campaign.objects.filter(pk=campaign.pk).update(sent=0, delivered=3, closed_at=now)
    assert "hx-trigger" not in client.get(live).content.decode()


def test_page_says_why_a_campaign_is_paused_and_what_to_do(client: Client) -> None:
    campaign = make_campaign()
    Campaign.objects.filter(pk=campaign.pk).update(
        status=CampaignStatus.PAUSED, pause_reason=PauseReason.GATEWAY_REFUSED, status_detail="401: wrong key"
    )
    page = member(client, campaign.account).get(campaign_url("campaign-detail", campaign)).content.decode()
    assert "401: wrong key" in page
    assert "Then resume the campaign" in page
    assert campaign_url("campaign-resume", campaign) in page
    assert campaign_url("campaign-pause", campaign) not in page


def test_pause_resume_and_cancel_from_the_page(client: Client) -> None:
    campaign = make_campaign()
    member(client, campaign.account)
    steps = {
        "campaign-pause": CampaignStatus.PAUSED,
        "campaign-resume": CampaignStatus.RUNNING,
        "campaign-cancel": CampaignStatus.CANCELLED,
    }
    for name, expected in steps.items():
        assert client.post(campaign_url(name, campaign))["Location"] == campaign_url("campaign-detail", campaign)
        campaign.refresh_from_db()
        assert campaign.status == expected


def test_looking_at_the_question_does_not_cancel(client: Client) -> None:
    campaign = make_campaign()
    page = member(client, campaign.account).get(campaign_url("campaign-cancel", campaign))
    assert "cannot be undone" in page.content.decode()
    assert client.get(campaign_url("campaign-pause", campaign)).status_code == 405
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.RUNNING


def test_move_that_is_not_allowed_is_a_message_not_an_error(client: Client) -> None:
    campaign = make_campaign()
    Campaign.objects.filter(pk=campaign.pk).update(status=CampaignStatus.COMPLETED)
    page = member(client, campaign.account).post(campaign_url("campaign-pause", campaign), follow=True)
    assert page.status_code == 200
    assert "A campaign in the state “Completed” cannot change to “Paused”." in page.content.decode()


@pytest.mark.parametrize("name", ["campaign-pause", "campaign-resume", "campaign-cancel"])
def test_viewer_sees_no_buttons_and_may_not_press_them(client: Client, name: str) -> None:
    campaign = make_campaign()
    member(client, campaign.account, Role.VIEWER)
    assert campaign_url(name, campaign) not in client.get(campaign_url("campaign-detail", campaign)).content.decode()
    assert client.post(campaign_url(name, campaign)).status_code == 403
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.RUNNING


def test_refused_rows_are_shown_with_number_value_and_reason(client: Client) -> None:
    account = AccountFactory()
    refused = [RefusedRow(row, "invalid_number", f"+49 {row}", "") for row in range(2, 152)]
    audience = audience_from_numbers(account, [(1, phones(1)[0])], refused=refused)
    campaign = make_campaign(account, audience=audience)
    first = member(client, account).get(campaign_url("campaign-refused", campaign))
    second = client.get(campaign_url("campaign-refused", campaign), {"start": first.context["next_start"]})
    rows = [row.row for page in (first, second) for row, _ in page.context["rows"]]
    assert rows == list(range(2, 152))
    assert "<code>+49 2</code>" in first.content.decode()
    assert "No such number exists" in first.content.decode()


# --- Numbers ----------------------------------------------------------------------------------------------


def test_bar_adds_up_to_the_recipients_and_hides_what_is_rare_and_zero() -> None:
    campaign = Campaign(
        status=CampaignStatus.RUNNING,
        total_recipients=1000,
        delivered=400,
        sent=250,
        queued=100,
        failed=50,
        started_at=timezone.now() - timedelta(seconds=100),
    )
    progress = campaign_progress(campaign, with_rate=False)
    assert sum(outcome.count for outcome in progress.outcomes) == 1000
    last = progress.outcomes[-1]
    assert (last.key, last.count, round(last.start + last.percent, 6)) == ("waiting", 200, 100)
    shown = {outcome.key for outcome in progress.outcomes if outcome.is_shown}
    assert shown == {"delivered", "sent", "undelivered", "rejected", "failed", "queued", "waiting"}
    assert progress.processed == 700
    assert progress.rate_average == pytest.approx(7, rel=0.01)
    assert progress.time_left_words == "43 s"


def test_present_rate_counts_this_campaigns_answered_calls_of_the_last_seconds() -> None:
    campaign, other = make_campaign(count=3), make_campaign()
    Campaign.objects.filter(pk=campaign.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    campaign.refresh_from_db()
    now = timezone.now()
    batch, foreign = make_batch(campaign, [MessageStatus.SENT] * 3), make_batch(other, [MessageStatus.SENT])
    make_attempt(batch, AttemptState.ANSWERED, 600, finished_at=now - timedelta(seconds=2))
    make_attempt(batch, AttemptState.ANSWERED, 900, finished_at=now - timedelta(minutes=2))
    make_attempt(batch, AttemptState.NOT_SENT, 500, finished_at=now)
    make_attempt(foreign, AttemptState.ANSWERED, 700, finished_at=now)
    assert campaign_progress(campaign).rate_now == pytest.approx(600 / 15, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (1900, "31 min"), (7500, "2 h 5 min"), (190000, "2 days 4 h")],
)
def test_spans_in_words(seconds: int, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words


# --- Messages ---------------------------------------------------------------------------------------------


def all_pages(campaign: Campaign, status: MessageStatus | None = None) -> list[list[int]]:
    pages, after = [], 0
    while True:
        page = message_page(campaign, status, after)
        pages.append([row.message_pk for row in page.rows])
        if page.next_after is None:
            return pages
        after = page.next_after


def test_every_message_of_the_campaign_is_on_exactly_one_page_in_order() -> None:
    campaign, other = make_campaign(), make_campaign()
    make_batch(campaign, [MessageStatus.SENT] * 70)
    make_batch(other, [MessageStatus.SENT] * 5)
    make_batch(campaign, [MessageStatus.QUEUED] * 80, part=1)
    expected = list(Message.objects.filter(campaign=campaign).order_by("id").values_list("id", flat=True))
    pages = all_pages(campaign)
    assert [len(page) for page in pages] == [50, 50, 50]
    assert [number for page in pages for number in page] == expected


def test_rare_status_is_found_in_few_queries_however_many_batches_have_none(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    campaign = make_campaign()
    for part in range(20):
        make_batch(campaign, [MessageStatus.DELIVERED] * 10, part=part)
    rare = make_batch(campaign, [MessageStatus.DELIVERED, MessageStatus.REJECTED], part=20)
    make_batch(campaign, [MessageStatus.DELIVERED] * 10, part=21)
    with django_assert_num_queries(2):
        page = message_page(campaign, MessageStatus.REJECTED)
    assert [row.message_pk for row in page.rows] == [make_message_pk(rare.pk, 1)]


def test_filtered_pages_hold_every_match_once() -> None:
    campaign = make_campaign()
    for part in range(6):
        make_batch(campaign, [MessageStatus.SENT, MessageStatus.REJECTED] * 10, part=part)
    matching = Message.objects.filter(campaign=campaign, status=MessageStatus.REJECTED).order_by("id")
    pages = all_pages(campaign, MessageStatus.REJECTED)
    assert [len(page) for page in pages] == [50, 10]
    assert [number for page in pages for number in page] == list(matching.values_list("id", flat=True))


def test_queued_message_in_an_open_call_is_shown_as_being_sent() -> None:
    campaign = make_campaign()
    batch = make_batch(campaign, [MessageStatus.QUEUED, MessageStatus.QUEUED, MessageStatus.SENT])
    make_attempt(batch, AttemptState.OPEN, 1)
    assert [row.status for row in message_page(campaign).rows] == ["sending", "queued", "sent"]


def test_filter_on_the_page(client: Client) -> None:
    campaign = make_campaign()
    make_batch(campaign, [MessageStatus.SENT, MessageStatus.REJECTED])
    page = member(client, campaign.account).get(campaign_url("campaign-detail", campaign), {"status": "rejected"})
    assert [row.status for row in page.context["page"].rows] == ["rejected"]
    assert client.get(campaign_url("campaign-detail", campaign), {"status": "lost"}).status_code == 404


def test_timeline_tells_the_calls_a_message_was_in_and_what_was_reported() -> None:
    campaign = make_campaign()
    now = timezone.now()
    batch = make_batch(campaign, [MessageStatus.UNDELIVERED, MessageStatus.QUEUED])
    number = make_message_pk(batch.pk, 0)
    Message.objects.filter(pk=number).update(
        sent_at=now + timedelta(seconds=5), done_at=now + timedelta(seconds=9), reason=Reason.UNREACHABLE
    )
    make_attempt(batch, AttemptState.NOT_SENT, 2, started_at=now + timedelta(seconds=1), detail="connection refused")
    make_attempt(batch, AttemptState.ANSWERED, 2, started_at=now + timedelta(seconds=4), http_status=200)
    make_attempt(batch, AttemptState.ANSWERED, 2, started_at=now + timedelta(seconds=7))  # for the other message
    DeliveryReport.objects.create(
        message_id=number,
        status=MessageStatus.UNDELIVERED,
        reason=Reason.UNREACHABLE,
        source="push",
        provider_status="EXPIRED_EXPIRED",
        error_code="27",
        received_at=now + timedelta(seconds=9),
    )
    timeline = message_timeline(Message.objects.get(pk=number))
    assert [entry.title for entry in timeline] == [
        "Accepted",
        "Prepared for sending",
        "Tried, not sent",
        "Handed over",
        "Not delivered",
    ]
    assert ("Detail", "connection refused") in timeline[2].facts
    assert ("Error", "27") in timeline[4].facts
    assert "could not be reached in time" in timeline[4].detail


def test_timeline_ends_with_our_own_decision() -> None:
    campaign = make_campaign()
    batch = make_batch(campaign, [MessageStatus.CANCELLED])
    Message.objects.filter(campaign=campaign).update(reason=Reason.CANCELLED, done_at=timezone.now())
    last = message_timeline(Message.objects.get(pk=make_message_pk(batch.pk, 0)))[-1]
    assert (last.title, last.detail) == ("Cancelled", "The campaign was cancelled")


def test_one_recipient_of_a_campaign_is_found_by_number(client: Client) -> None:
    campaign, other = make_campaign(), make_campaign()
    number = phones(1)[0]
    for made in (campaign, other):
        make_batch(made, [MessageStatus.DELIVERED, MessageStatus.SENT])
    client = member(client, campaign.account)
    page = client.get(campaign_url("campaign-detail", campaign)).content.decode()
    assert f'action="{reverse("message-search")}"' in page
    found = client.get(reverse("message-search"), {"campaign": campaign.bulk_id, "number": number})
    assert [row.phone_number for row, _ in found.context["rows"]] == [number]


def test_message_page_shows_the_text_as_the_handset_does(client: Client) -> None:
    account = AccountFactory()
    audience = make_audience(account, 1, ("name",), [["Ольга"]])
    campaign = make_campaign(account, audience=audience, message="Hello {name}")
    batch = make_batch(campaign, [MessageStatus.SENT])
    Message.objects.update(variables='["Ольга"]')
    page = member(client, account).get(reverse("message-detail", args=[public_id(make_message_pk(batch.pk, 0))]))
    assert "Hello Ольга" in page.content.decode()


def test_message_page_asks_the_database_nine_times(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    campaign = make_campaign()
    batch = make_batch(campaign, [MessageStatus.SENT])
    for _ in range(3):
        make_attempt(batch, AttemptState.ANSWERED, 1)
    member(client, campaign.account)
    page = reverse("message-detail", args=[public_id(make_message_pk(batch.pk, 0))])
    # session, user, memberships, message with its campaign, audience with the upload, calls with their batch, reports
    with django_assert_num_queries(9):
        client.get(page)


def test_message_page_says_what_to_do_what_it_cost_and_who_was_told(client: Client) -> None:
    campaign = make_campaign()
    endpoint = WebhookEndpoint.objects.create(
        account=campaign.account, endpoint_id="whe_1", url="https://shop.example/h"
    )
    batch = make_batch(campaign, [MessageStatus.UNDELIVERED, MessageStatus.DELIVERED])
    Batch.objects.filter(pk=batch.pk).update(price_micro=70_000)
    Campaign.objects.filter(pk=campaign.pk).update(prices={"49": 70_000})
    message, other = Message.objects.in_batch(batch.pk).order_by("pk")
    Message.objects.filter(pk=message.pk).update(reason=Reason.UNKNOWN_NUMBER, segment_count=2, done_at=timezone.now())
    for about in (message, other):
        body = f'{{"data":{{"messages":[{{"message_id":"{about.message_id}"}}]}}}}'
        WebhookDelivery.objects.create(
            endpoint=endpoint, event_id=f"evt_{about.pk}", event_type="message.status", body=body
        )
    owner = member(client, campaign.account)
    page = owner.get(reverse("message-detail", args=[message.message_id]))
    html = html_of(page)
    assert "take it off your list" in html
    assert re.search(r"<dt>Price</dt><dd>0\.14 ", html)
    assert [delivery.event_id for delivery in page.context["webhooks"]] == [f"evt_{message.pk}"]
    assert "What to do" not in owner.get(reverse("message-detail", args=[other.message_id])).content.decode()


def test_every_reason_and_state_of_a_failure_has_its_advice() -> None:
    unproven = {Reason.ANSWER_LOST, Reason.NO_PROOF, Reason.NO_REPORT, Reason.NO_RECEIPT}
    for reason in set(Reason) - unproven - {Reason.NONE, Reason.CANCELLED}:
        assert advice(Message(reason=reason, status=MessageStatus.FAILED))
    for status in set(MessageStatus) - EXPLAINED_BY_REASON:
        assert advice(Message(status=status))


def test_message_of_another_account_or_of_nobody_is_404(client: Client) -> None:
    batch = make_batch(make_campaign(), [MessageStatus.SENT])
    member(client, AccountFactory())
    for message_id in (public_id(make_message_pk(batch.pk, 0)), public_id(make_message_pk(batch.pk, 7)), "nonsense"):
        assert client.get(reverse("message-detail", args=[message_id])).status_code == 404


def test_pages_hold_no_inline_script_or_style(client: Client) -> None:
    campaign = make_campaign()
    batch = make_batch(campaign, [MessageStatus.SENT])
    member(client, campaign.account)
    pages = [
        "/",
        "/campaigns/",
        campaign_url("campaign-detail", campaign),
        reverse("message-detail", args=[public_id(batch.pk << 10)]),
    ]
    for page in pages:
        html = client.get(page).content.decode()
        assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", html)


def test_single_sends_have_a_list_of_their_own(client: Client) -> None:
    campaign = make_campaign(count=1, kind=CampaignKind.SINGLE, name="One parcel")
    client.force_login(campaign.user)
    assert "One parcel" not in client.get("/campaigns/").content.decode()
    assert "One parcel" in client.get("/campaigns/?kind=single").content.decode()
    assert client.get("/campaigns/?kind=nonsense").status_code == 404
