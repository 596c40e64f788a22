"""Recurring campaigns: each moment once, whoever fires it; late, failing and ended ones."""

import threading
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.choices import Mode
from campaigns import drafts, services
from campaigns.choices import CampaignKind, CampaignStatus, RecurringStatus
from campaigns.models import Campaign, RecurringCampaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling import recurring
from campaigns.scheduling.rule import Every, Rule
from campaigns.validation import CampaignRequest
from smsapp.core.exceptions import InvalidState, NotFound, ValidationError
from tests.support import clocks
from tests.support.factories import MembershipFactory, SenderIdFactory, make_api_key, make_upload, phones
from tests.support.together import patiently, run_together
from uploads.contacts import create_list, put_contact

pytestmark = pytest.mark.django_db
START = datetime(2027, 3, 1, 6, tzinfo=UTC)
DAILY = Rule.at(Every.DAY, "Europe/Berlin", time(9))  # 08:00 UTC in winter


def make(rule: Rule = DAILY, wanted: RecipientSource | None = None, message: str = "Hello", **options: Any) -> Any:
    membership = options.pop("membership", None) or MembershipFactory()
    request = CampaignRequest(
        kind=CampaignKind.BULK, message=message, **{n: options.pop(n) for n in list(options) if n in REQUEST}
    )
    wanted = wanted or RecipientSource(phone_numbers=phones(3))
    return recurring.create_recurring(membership.account, membership.user, request, rule, wanted, **options)


REQUEST = ("sender_id", "quiet_from", "quiet_until", "canary_size", "canary_percent")


def fire(at: datetime) -> int:
    with clocks.at(at):
        return recurring.fire_due(at)


def test_each_moment_makes_one_campaign() -> None:
    with clocks.at(START):
        row = make()
    first = START + timedelta(hours=2)
    assert row.next_run_at == first
    assert [fire(first - timedelta(seconds=1)), fire(first), fire(first), fire(first + timedelta(hours=1))] == [
        0,
        1,
        0,
        0,
    ]
    assert fire(first + timedelta(days=1)) == 1
    made = Campaign.objects.order_by("pk")
    assert [(one.due_at, one.status, one.total_recipients) for one in made] == [
        (first, CampaignStatus.RUNNING, 3),
        (first + timedelta(days=1), CampaignStatus.RUNNING, 3),
    ]
    row.refresh_from_db()
    assert (row.run_count, row.next_run_at) == (2, first + timedelta(days=2))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_five_clocks_at_once_fire_each_moment_once() -> None:
    membership = MembershipFactory()
    with clocks.at(START):
        for _ in range(20):
            make(membership=membership)
    now, barrier = START + timedelta(hours=2), threading.Barrier(5)
    fired: list[int] = []

    def clock() -> None:
        barrier.wait()
        for _ in range(3):
            fired.append(recurring.fire_due(now))
        connection.close()

    with clocks.at(now):
        threads = [threading.Thread(target=clock) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (sum(fired), Campaign.objects.count()) == (20, 20)


def test_a_moment_that_is_too_late_waits_for_a_person_and_earlier_ones_are_left_out(settings: Any) -> None:
    settings.LATE_START_WINDOW = 3600.0
    with clocks.at(START):
        row = make(Rule("0", "*/2", "*", "*", "*", "UTC"))
    assert fire(START + timedelta(hours=11, minutes=30)) == 1  # 16:00 is over by an hour and a half
    campaign = Campaign.objects.get()
    assert (campaign.status, campaign.due_at) == (CampaignStatus.MISSED, START + timedelta(hours=10))
    row.refresh_from_db()
    assert row.detail == "Earlier runs that were skipped: 4."
    assert row.next_run_at == START + timedelta(hours=12)


def test_the_list_as_it_stands_at_the_moment() -> None:
    membership = MembershipFactory()
    list_ = create_list(membership.account, membership.user, "Guests")
    put_contact(list_, membership.user, "+4915112345678", {"name": "Ann"})
    with clocks.at(START):
        make(wanted=RecipientSource(list_id=list_.list_id), membership=membership, message="Hi {name}")
    fire(START + timedelta(hours=2))
    put_contact(list_, membership.user, "+4915112345679", {"name": "Bob"})
    fire(START + timedelta(days=1, hours=2))
    assert list(Campaign.objects.order_by("pk").values_list("total_recipients", flat=True)) == [1, 2]


def test_moments_that_make_nothing_say_why_and_pause_it_after_three() -> None:
    membership = MembershipFactory()
    sender = SenderIdFactory(account=membership.account)
    with clocks.at(START):
        row = make(membership=membership, sender_id="DemoShop")
    sender.status = "rejected"
    sender.save()
    for day in range(3):
        assert fire(START + timedelta(days=day, hours=2)) == 0
    row.refresh_from_db()
    assert (row.status, row.failure_count, row.next_run_at) == (RecurringStatus.PAUSED, 3, None)
    assert "rejected the sender" in row.detail
    assert not Campaign.objects.exists()
    sender.status = "approved"
    sender.save()
    with clocks.at(START + timedelta(days=5)):
        row = recurring.resume(row, membership.user)
    assert (row.failure_count, row.detail, row.next_run_at) == (0, "", START + timedelta(days=5, hours=2))


def test_do_not_send_after_and_the_end() -> None:
    with clocks.at(START):
        row = make(valid_minutes=60, ends_at=START + timedelta(days=1, hours=3))
    with clocks.at(START):
        assert len(recurring.next_moments(row, 5)) == 2
    fire(START + timedelta(hours=2))
    assert Campaign.objects.get().valid_until == START + timedelta(hours=3)
    fire(START + timedelta(days=1, hours=2))
    row.refresh_from_db()
    assert (row.status, row.next_run_at, row.run_count) == (RecurringStatus.ENDED, None, 2)
    with pytest.raises(InvalidState):
        recurring.resume(row, row.user)
    with pytest.raises(ValidationError, match="before its first run"):
        make(ends_at=timezone.now() + timedelta(minutes=1), rule=Rule("0", "9", "29", "2", "*", "UTC"))


def test_a_paused_one_fires_nothing_and_goes_on_with_the_next() -> None:
    with clocks.at(START):
        row = recurring.pause(make(), MembershipFactory().user)
    assert (row.next_run_at, fire(START + timedelta(days=3))) == (None, 0)
    with clocks.at(START + timedelta(days=3, hours=5)):
        row = recurring.resume(row, row.user)
    assert row.next_run_at == START + timedelta(days=4, hours=2)


# --- over the API ----------------------------------------------------------------------------------------------------


@pytest.fixture
def api() -> Any:
    _, text = make_api_key()
    client = Client(headers={"X-API-Key": text})

    def call(method: str, path: str = "", body: Any = None) -> Any:
        options = {"data": body, "content_type": "application/json"} if body is not None else {}
        return getattr(client, method)(f"/api/v1/recurring-campaigns{path}", **options)

    return call


BODY = {
    "message": "Hello",
    "phone_numbers": phones(2),
    "every": "week",
    "weekdays": [1, 4],
    "at": "09:30",
    "timezone": "Europe/Berlin",
}


def test_a_customers_program_makes_reads_changes_and_ends_one(api: Any) -> None:
    made = api("post", "", BODY)
    assert made.status_code == 201, made.content
    path = f"/{made.json()['data']['recurring_id']}"
    assert (made.json()["data"]["rule"], made.json()["data"]["timezone"]) == ("30 9 * * 1,4", "Europe/Berlin")
    moments = api("get", f"{path}/preview?count=3").json()["data"]["moments"]
    assert len(moments) == 3
    assert moments[0] == made.json()["data"]["next_run_at"]
    changed = api("patch", path, {"every": "cron", "cron": "0 7 1-7 * 1", "message": "Good morning"}).json()["data"]
    assert (changed["rule"], changed["timezone"], changed["message"]) == (
        "0 7 1-7 * 1",
        "Europe/Berlin",
        "Good morning",
    )
    assert api("post", f"{path}/pause", {}).json()["data"]["status"] == "PAUSED"
    assert api("post", f"{path}/pause", {}).status_code == 409
    assert api("post", f"{path}/resume", {}).json()["data"]["status"] == "ACTIVE"
    assert [row["recurring_id"] for row in api("get").json()["data"]["results"]] == [path[1:]]
    assert api("delete", path).json()["data"]["status"] == "ENDED"
    assert api("patch", path, {"message": "x"}).status_code == 409
    assert RecurringCampaign.objects.get().mode == Mode.LIVE


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"every": "never"}, "every"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [7]}, "weekdays[0]"),
        ({"at": "25:00"}, "at"),
        ({"at": "9"}, "at"),
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"every": "cron"}, "cron"),
        ({"every": "cron", "cron": "* * * * *"}, "cron"),
        ({"every": "cron", "cron": "0 9 30 2 *"}, "cron"),
        ({"every": "month", "month_day": 31}, "month_day"),
        ({"message": ""}, "message"),
        ({"message": "Hi {name}"}, "message"),
        ({"phone_numbers": ["12"]}, "phone_numbers[0]"),
        ({"valid_minutes": 1}, "valid_minutes"),
        ({"schedule_time": "2027-01-01T00:00:00Z"}, "schedule_time"),
        ({"quiet_from": "21:00"}, "quiet_until"),
        ({"canary_size": 5, "canary_percent": 5}, "canary_percent"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
    ],
)
def test_what_cannot_be_is_refused_by_field(api: Any, change: dict[str, Any], field: str) -> None:
    answer = api("post", "", BODY | change)
    assert answer.status_code in (400, 422), answer.content
    assert answer.json()["error"]["details"]["field"] == field
    assert not RecurringCampaign.objects.exists()


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({"every": "cron", "cron": "@daily"}, "@daily"),
        ({"every": "cron", "cron": "* * * * *"}, "* * * * *"),
        ({"canary_size": 5, "canary_percent": 6}, 6),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "2020-01-01T00:00:00Z"),
        ({"timezone": "localtime"}, "localtime"),
        ({"timezone": "Factory"}, "Factory"),
    ],
)
def test_what_was_refused_is_shown(api: Any, change: dict[str, Any], value: Any) -> None:
    assert api("post", "", BODY | change).json()["error"]["details"]["value"] == value


def test_a_change_takes_a_time_back_to_its_default(api: Any) -> None:
    path = f"/{api('post', '', BODY).json()['data']['recurring_id']}"
    changed = api("patch", path, {"every": "day", "at": None})
    assert (changed.status_code, changed.json()["data"]["rule"]) == (200, "0 9 * * *")


def test_what_is_wrong_with_a_change_is_all_that_is_named(api: Any) -> None:
    path = f"/{api('post', '', BODY).json()['data']['recurring_id']}"
    answer = api("patch", path, {"valid_minutes": 1, "weekdays": [1], "quiet_from": "21:00", "phone_numbers": ["12"]})
    errors = answer.json()["error"]["details"]["errors"]
    assert {entry["field"] for entry in errors} == {"valid_minutes", "quiet_until", "phone_numbers[0]"}


@pytest.mark.parametrize("name", ["message", "phone_numbers", "upload_id", "list_id", "template_id"])
def test_a_change_refuses_null_for_what_has_no_default(api: Any, name: str) -> None:
    path = f"/{api('post', '', BODY).json()['data']['recurring_id']}"
    answer = api("patch", path, {name: None})
    assert (answer.status_code, answer.json()["error"]["details"]["code"]) == (400, "NULL")


def draft_to_repeat(message: str = "Hello", **plan: Any) -> Campaign:
    membership = MembershipFactory()
    upload = make_upload(membership.account, [(phone,) for phone in phones(3)], ["phone"])
    request = CampaignRequest(kind=CampaignKind.BULK, message=message)
    draft, _refused = drafts.create_draft(
        membership.account, membership.user, request, RecipientSource(upload_id=upload.upload_id)
    )
    return drafts.change_draft(draft, membership.user, {}, **{"rule": DAILY} | plan)[0]


def test_a_draft_becomes_a_recurring_campaign_and_is_gone() -> None:
    draft = draft_to_repeat()
    made = recurring.recurring_from_draft(draft, draft.user)
    assert (made.audience, Rule.of(made.rule)) == (draft.audience, DAILY)
    assert not Campaign.objects.exists()
    with pytest.raises(NotFound):
        recurring.recurring_from_draft(draft, draft.user)
    assert RecurringCampaign.objects.count() == 1


def test_a_draft_that_was_confirmed_meanwhile_does_not_become_one_as_well() -> None:
    draft = draft_to_repeat()
    services.launch(Campaign.objects.get(), draft.user)
    with pytest.raises(InvalidState):
        recurring.recurring_from_draft(draft, draft.user)
    assert not RecurringCampaign.objects.exists()
    assert Campaign.objects.get().status == CampaignStatus.RUNNING


def test_a_draft_without_a_rule_stays_one() -> None:
    draft = draft_to_repeat(rule=None)
    with pytest.raises(InvalidState):
        recurring.recurring_from_draft(draft, draft.user)
    assert Campaign.objects.get().status == CampaignStatus.DRAFT


@pytest.mark.django_db(transaction=True)
def test_of_many_who_set_a_draft_up_at_once_one_does() -> None:
    draft = draft_to_repeat()
    gone: list[Exception] = []

    def set_up() -> None:
        try:
            recurring.recurring_from_draft(Campaign.objects.select_related("account").get(pk=draft.pk), draft.user)
        except (NotFound, Campaign.DoesNotExist) as error:
            gone.append(error)

    run_together(*[lambda: patiently(set_up)] * 4)
    assert (RecurringCampaign.objects.count(), Campaign.objects.count(), len(gone)) == (1, 0, 3)
