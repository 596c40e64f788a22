"""The receipt before sending: exact, in slices of any size, and never of another text or other recipients."""

from datetime import time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.choices import Mode
from accounts.models import Account, Price
from campaigns import drafts, services
from campaigns.admin import _facts
from campaigns.choices import CampaignKind
from campaigns.models import Campaign
from campaigns.recipients import RecipientSource
from campaigns.scheduling import quiet_hours
from campaigns.validation import CampaignRequest
from messaging.gateways import registry
from messaging.models import Message
from messaging.preflight import counting
from messaging.preflight.counting import count_slice
from messaging.preflight.preview import first_rows, one_row
from messaging.preflight.receipt import preflight, stored_receipt
from messaging.routing import router
from messaging.sending.expansion import expand_ready
from reports.selectors.insight import compared
from smsapp.core.exceptions import InvalidState, NotFound, TemplateVariableMissing
from smsapp.lib.text import segment_count
from tests.support.factories import MembershipFactory, SenderIdFactory, make_campaign, make_upload, phones
from uploads.suppressions import suppress

pytestmark = pytest.mark.django_db

GERMAN, BRITISH = phones(1)[0], "+447400123456"


@pytest.fixture
def owner():
    return MembershipFactory()


@pytest.fixture(autouse=True)
def prices():
    Price.objects.create(prefix="49", price_micro=70_000)
    Price.objects.create(prefix="44", price_micro=40_000)


def draft_of(owner, wanted: RecipientSource | None = None, **options) -> Campaign:
    request = CampaignRequest(kind=CampaignKind.BULK, message=options.pop("message", "Hello"), **options)
    return drafts.create_draft(owner.account, owner.user, request, wanted)[0]


def fresh(campaign: Campaign) -> Campaign:
    return Campaign.objects.select_related("account", "audience").get(pk=campaign.pk)


def test_the_receipt_counts_what_is_then_sent(owner):
    """Held against the messages of the campaign itself."""
    names = ["Anna", "Zoë", "Łukasz", "", "x" * 1700, "B" * 150, "Опт"]
    rows = [(phone, name) for phone, name in zip(phones(6), names, strict=False)] + [(BRITISH, names[6])]
    upload = make_upload(owner.account, rows, ["phone", "name"])
    suppress(owner.account, phones(1)[0], "STOP")
    draft = draft_of(owner, RecipientSource(upload_id=upload.upload_id), message="Hello {name}!")
    receipt = preflight(draft)
    assert receipt.progress == 1
    assert receipt.removed == {"invalid": 0, "duplicate": 0, "opted_out": 1, "no_text": 2}
    services.launch(draft, owner.user)
    expand_ready()
    sendable = [
        message
        for message in Message.objects.filter(campaign=draft)
        if message.segment_count and message.phone_number != phones(1)[0]
    ]
    assert receipt.recipients == len(sendable) == 4
    assert receipt.segments == sum(message.segment_count for message in sendable)
    assert receipt.encodings == {"gsm7": 1, "ucs2": 3}
    assert receipt.longest == {"length": 157, "segments": 1, "row": 7}
    german = sum(message.segment_count for message in sendable if message.phone_number != BRITISH)
    assert [(row.country, row.recipients, row.segments, row.price) for row in receipt.countries] == [
        ("DE", 3, german, Decimal("0.07") * german),
        ("GB", 1, 1, Decimal("0.04")),
    ]
    assert receipt.price == sum(row.price for row in receipt.countries)


def test_refused_rows_are_told_by_kind(owner):
    wanted = RecipientSource(phone_numbers=[*phones(2), phones(1)[0], "12", "abc", "+49301234567"])
    assert preflight(draft_of(owner, wanted)).removed == {"invalid": 3, "duplicate": 1, "opted_out": 0, "no_text": 0}


def test_counting_in_slices_says_the_same_as_at_once(owner, settings, monkeypatch):
    settings.CHUNK_SIZE, settings.TASK_BUDGET = 3, 0.0
    upload = make_upload(owner.account, [(phone, phone * 5) for phone in phones(20)], ["phone", "name"])
    draft = draft_of(owner, RecipientSource(upload_id=upload.upload_id), message="Hello {name}")
    at_once = preflight(draft)
    Campaign.objects.update(preflight=None)
    monkeypatch.setattr(counting, "AT_ONCE", 10)
    woken: list[tuple[object, ...]] = []
    monkeypatch.setattr(counting, "enqueue", lambda *args: woken.append(args))
    assert preflight(fresh(draft)).progress == 0
    slices = 0
    while count_slice(draft.pk):
        slices += 1
        told = stored_receipt(fresh(draft))
        assert (told.progress, told.recipients) == (round(slices / 7, 3), min(3 * slices, 20))
    assert slices == 7
    assert woken == [("messaging.preflight", draft.pk)] * 7  # the last slice wakes nobody
    sliced = preflight(fresh(draft))
    assert sliced.counted_at
    for name in ("recipients", "segments", "price", "countries", "encodings", "longest", "removed"):
        assert getattr(sliced, name) == getattr(at_once, name)


def test_whoever_is_slow_with_a_slice_sets_nothing_back(owner, settings, monkeypatch):
    settings.CHUNK_SIZE, settings.TASK_BUDGET = 3, 0.0
    monkeypatch.setattr(counting, "AT_ONCE", 0)
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(9)))
    preflight(draft)
    real = counting._store

    def meanwhile(campaign_id, count, after):
        monkeypatch.setattr(counting, "_store", real)
        for _ in range(2):  # another worker counts this slice and the next
            count_slice(campaign_id)
        real(campaign_id, count, after)

    monkeypatch.setattr(counting, "_store", meanwhile)
    count_slice(draft.pk)
    assert stored_receipt(fresh(draft)).recipients == 6
    while count_slice(draft.pk):
        pass
    assert stored_receipt(fresh(draft)).recipients == 9


def test_a_receipt_of_another_text_or_other_recipients_is_not_shown(owner):
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(3)))
    assert preflight(draft).segments == 3
    Campaign.objects.update(message="x" * 200)
    assert stored_receipt(fresh(draft)) is None
    assert preflight(fresh(draft)).segments == 6
    drafts.change_draft(draft, owner.user, {}, RecipientSource(phone_numbers=phones(5)))
    assert stored_receipt(fresh(draft)) is None
    assert preflight(fresh(draft)).recipients == 5


def test_a_task_goes_on_with_nothing_that_was_changed(owner, settings, monkeypatch):
    settings.CHUNK_SIZE = 3
    monkeypatch.setattr(counting, "AT_ONCE", 0)
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(9)))
    preflight(draft)
    Campaign.objects.update(message="Other")
    assert count_slice(draft.pk) == 0
    assert count_slice(draft.pk + 1) == 0


def test_an_old_receipt_is_counted_anew(owner, settings):
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(3)))
    preflight(draft)
    suppress(owner.account, phones(1)[0], "STOP")
    assert preflight(fresh(draft)).recipients == 3
    stored = fresh(draft).preflight
    Campaign.objects.update(preflight=stored | {"counted_at": (timezone.now() - timedelta(minutes=11)).isoformat()})
    assert preflight(fresh(draft)).recipients == 2


def test_test_mode_is_free_and_leaves_the_balance_alone(owner):
    Account.objects.update(is_metered=True, balance_micro=1)
    receipt = preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=phones(3)), mode=Mode.TEST)))
    assert (receipt.price, receipt.balance_after, receipt.warnings) == (0, None, [])


@pytest.mark.parametrize(("balance", "left", "codes"), [(210_000, "0.00", []), (200_000, "-0.01", ["not_covered"])])
def test_the_balance_after_it(owner, balance, left, codes):
    Account.objects.update(is_metered=True, balance_micro=balance)
    receipt = preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=phones(3)))))
    assert receipt.balance_after == Decimal(left)
    assert [warning.code for warning in receipt.warnings] == codes


def test_numbers_without_a_price_and_nobody_at_all_are_warned_of(owner):
    Account.objects.update(is_metered=True, balance_micro=10**9)
    receipt = preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=[GERMAN, "+41791234567"]))))
    assert ([warning.code for warning in receipt.warnings], receipt.recipients) == (["no_price"], 2)
    suppress(owner.account, GERMAN, "STOP")
    receipt = preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=[GERMAN]))))
    assert [warning.code for warning in receipt.warnings] == ["nobody"]


def test_the_time_at_the_gateways_rate(owner, settings):
    settings.SIMULATOR_RATE = settings.GATEWAY_RATE = 0
    draft = draft_of(
        owner, RecipientSource(phone_numbers=phones(300)), valid_until=timezone.now() + timedelta(seconds=60)
    )
    assert preflight(draft).seconds is None
    settings.SIMULATOR_RATE = settings.GATEWAY_RATE = 3
    receipt = preflight(fresh(draft))
    assert (receipt.seconds, [warning.code for warning in receipt.warnings]) == (100, ["too_late"])


def test_the_time_at_the_lowest_of_all_rates(owner, settings):
    settings.SIMULATOR_RATE = settings.GATEWAY_RATE = 100
    Account.objects.update(rate=10)
    assert preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=phones(300))))).seconds == 30
    SenderIdFactory(account=owner.account, value="Slow", rate=1)
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(300)), sender_id="Slow")
    assert preflight(fresh(draft)).seconds == 300


def test_without_any_rate_the_pace_of_large_campaigns_before(owner, settings):
    settings.SIMULATOR_RATE = settings.GATEWAY_RATE = 0
    began = timezone.now() - timedelta(hours=1)
    for total, seconds in ((5000, 50), (5000, 500), (10, 0.001)):
        earlier = make_campaign(owner.account)
        Campaign.objects.filter(pk=earlier.pk).update(
            total_recipients=total, started_at=began, completed_at=began + timedelta(seconds=seconds)
        )
    assert preflight(draft_of(owner, RecipientSource(phone_numbers=phones(300)))).seconds == 3


def test_quiet_hours_say_whom_they_hold_back_and_until_when(owner):
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=30)
    hours = {"quiet_from": time(11), "quiet_until": time(18)}
    numbers = [*phones(3), "+14155552671"]  # noon UTC is no quiet hour in San Francisco
    draft = draft_of(owner, RecipientSource(phone_numbers=numbers), scheduled_at=noon, **hours)
    receipt = preflight(fresh(draft))
    assert (receipt.quiet, receipt.quiet_until.astimezone(ZoneInfo("Europe/Berlin")).hour) == (3, 18)
    drafts.change_draft(draft, owner.user, {"quiet_from": None, "quiet_until": None})
    receipt = preflight(fresh(draft))
    assert (receipt.quiet, receipt.quiet_until) == (0, None)


def test_quiet_hours_beyond_the_last_moment_are_warned_of(owner):
    noon = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=30)
    draft = draft_of(
        owner,
        RecipientSource(phone_numbers=phones(3)),
        scheduled_at=noon,
        quiet_from=time(11),
        quiet_until=time(18),
        valid_until=noon + timedelta(hours=1),
    )
    assert [warning.code for warning in preflight(fresh(draft)).warnings] == ["too_late"]


@pytest.mark.parametrize("change", [None, "text", "recipients", "mode", "day", "unsent"])
def test_the_same_that_went_out_today_is_warned_of(owner, change):
    upload = make_upload(owner.account, [(phone,) for phone in phones(3)], ["phone"])
    twin = make_upload(owner.account, [(phone,) for phone in phones(4 if change == "recipients" else 3)], ["phone"])
    first = make_campaign(
        owner.account,
        audience=upload.audience,
        message="Other" if change == "text" else "Hello",
        mode=Mode.TEST if change == "mode" else Mode.LIVE,
        scheduled_at=timezone.now() + timedelta(hours=1) if change == "unsent" else None,
    )
    if change == "day":
        Campaign.objects.update(started_at=timezone.now() - timedelta(days=1))
    receipt = preflight(draft_of(owner, RecipientSource(upload_id=twin.upload_id)))
    told = [(warning.code, warning.bulk_id) for warning in receipt.warnings]
    assert told == ([("already_sent", first.bulk_id)] if change is None else [])


def test_who_has_to_approve_is_told(owner):
    Account.objects.update(approval_above=2)
    assert preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=phones(3))))).needs_approval
    assert not preflight(fresh(draft_of(owner, RecipientSource(phone_numbers=phones(2))))).needs_approval


def test_a_campaign_that_was_started_is_counted_no_more_and_keeps_its_receipt(owner):
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(3)))
    preflight(draft)
    services.launch(draft, owner.user)
    with pytest.raises(InvalidState):
        preflight(fresh(draft))
    assert stored_receipt(fresh(draft)).recipients == 3
    with pytest.raises(InvalidState):
        preflight(make_campaign(owner.account, kind=CampaignKind.SINGLE))


def test_a_forecast_outlives_a_change_of_quiet_hours(owner):
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(3)))
    preflight(draft)
    services.launch(draft, owner.user)
    Account.objects.update(quiet_from=time(20), quiet_until=time(8))
    quiet_hours.forget()
    assert stored_receipt(fresh(draft)).recipients == 3
    assert [line.forecast for line in compared(fresh(draft))][:2] == [3, 3]


def test_counting_begins_anew_under_other_quiet_hours(owner, settings, monkeypatch):
    settings.CHUNK_SIZE, settings.TASK_BUDGET = 3, 0.0
    monkeypatch.setattr(counting, "AT_ONCE", 0)
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(9)))
    preflight(draft)
    assert count_slice(draft.pk) == 1
    Account.objects.update(quiet_from=time(20), quiet_until=time(8))
    quiet_hours.forget()
    assert count_slice(draft.pk) == 0  # it would mix the hours
    assert preflight(fresh(draft)).progress == 0


def test_the_page_of_a_campaign_is_shown_though_its_recipients_have_no_price_any_more(client, owner):
    account = owner.account
    Account.objects.filter(pk=account.pk).update(is_metered=True, approval_above_micro=10**9, balance_micro=10**9)
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(3)))
    preflight(fresh(draft))
    services.launch(fresh(draft), owner.user)
    Price.objects.all().delete()
    assert not stored_receipt(fresh(draft)).needs_approval  # it was started
    client.force_login(owner.user)
    page = client.get(reverse("campaign-detail", args=[draft.bulk_id]))
    assert "0.21" in page.content.decode()
    assert client.get(reverse("campaign-live", args=[draft.bulk_id])).status_code == 200


def test_the_console_names_a_draft_though_its_recipients_have_no_price(owner):
    Account.objects.update(is_metered=True, approval_above_micro=10**9)
    draft = draft_of(owner, RecipientSource(phone_numbers=phones(3)))
    preflight(fresh(draft))
    Price.objects.all().delete()
    assert "0.21" in _facts(fresh(draft))


def test_a_draft_without_recipients_has_an_empty_receipt(owner):
    receipt = preflight(draft_of(owner))
    assert (receipt.progress, receipt.recipients, receipt.countries) == (1, 0, [])


@pytest.mark.parametrize("count", [3, 60])
def test_queries_do_not_grow_with_recipients(owner, count, django_assert_num_queries):
    draft = fresh(draft_of(owner, RecipientSource(phone_numbers=phones(count))))
    router.live_gateways()  # a process asks for routes and gateways every few seconds only
    registry.names()
    with django_assert_num_queries(15):
        preflight(draft)


# --- Preview ----------------------------------------------------------------------------------------------


def test_previews_are_what_would_be_sent(owner, settings):
    settings.CHUNK_SIZE = 2
    rows = [(phone, name) for phone, name in zip(phones(5), ["Anna", "", "Zoë", "Dan", "Eve"], strict=True)]
    upload = make_upload(owner.account, rows, ["phone", "name"])
    draft = draft_of(owner, RecipientSource(upload_id=upload.upload_id), message="Hello {name}")
    first = first_rows(draft, 3)
    assert [(one.row, one.phone_number, one.text) for one in first] == [
        (2, phones(5)[0], "Hello Anna"),
        (3, phones(5)[1], None),
        (4, phones(5)[2], "Hello Zoë"),
    ]
    assert (first[1].problem, first[1].detail) == ("missing_value", "name")
    assert (first[2].encoding, first[2].segments, first[2].units_left) == ("ucs2", segment_count("Hello Zoë"), 61)
    assert one_row(draft, 6).text == "Hello Eve"
    for row in (0, 1, 7, 10**9):
        with pytest.raises(NotFound):
            one_row(draft, row)


def test_a_refused_row_has_no_preview(owner):
    draft = draft_of(owner, RecipientSource(phone_numbers=[phones(1)[0], "12", phones(2)[1]]))
    assert [one.row for one in first_rows(draft, 10)] == [1, 3]
    with pytest.raises(NotFound):
        one_row(draft, 2)


def test_a_text_that_asks_for_more_than_there_is_has_no_preview(owner):
    draft = draft_of(owner, message="Hello {name}")
    with pytest.raises(TemplateVariableMissing):
        first_rows(draft, 1)
