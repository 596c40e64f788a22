"""Resend failed: a linked campaign with new messages for those who got nothing, each of them once."""

import random
import threading
import time
from datetime import time as time_of_day
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.suspension import suspend_account
from campaigns import resends
from campaigns import services as campaign_services
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from campaigns.validation import COPIED
from messaging.choices import FactSource, Lane, MessageStatus, Reason
from messaging.models import Batch, Message
from messaging.outcomes import report_inbox, settlement
from messaging.outcomes.settlement import Fact
from messaging.sending import dispatch, resending
from messaging.sending.expansion import expand_ready
from messaging.sending.resending import fill_chunk, fill_resends
from messaging.services import resend_failed
from smsapp.core.exceptions import AccountSuspended, InvalidState, SenderNotAllowed, ValidationError
from tests.support.factories import (
    AccountFactory,
    MembershipFactory,
    SenderIdFactory,
    make_audience,
    make_campaign,
    phones,
)
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry
from tests.support.together import run_together
from uploads.audiences import audience_from_numbers
from uploads.chunks import Recipients, unpack_body
from uploads.models import Audience
from uploads.suppressions import suppress

pytestmark = pytest.mark.django_db

S = MessageStatus
BY_US = (S.FAILED, S.EXPIRED, S.CANCELLED, S.SUPPRESSED)


def become(message: Message, status: MessageStatus) -> None:
    """Bring a queued message to a state by facts that the table allows."""
    if status is S.UNCONFIRMED:
        settlement.apply([Fact(message.id, S.UNKNOWN, FactSource.DEADLINE, Reason.ANSWER_LOST)])
        settlement.apply([Fact(message.id, status, FactSource.DEADLINE, Reason.NO_PROOF)])
    elif status in BY_US:
        settlement.control([message.id], status, Reason.POISON)
    elif status is not S.QUEUED:
        settlement.apply([Fact(message.id, status, FactSource.PUSH)])


def ended(*outcomes: MessageStatus, **options) -> Campaign:
    """A campaign whose messages have come to these states, in the order of its rows."""
    campaign = make_campaign(count=len(outcomes), **options)
    while expand_ready():
        pass
    messages = Message.objects.filter(campaign=campaign).order_by("row")
    for message, outcome in zip(messages, outcomes, strict=True):
        if S(message.status) is not outcome:
            become(message, outcome)
    campaign.refresh_from_db()
    campaign_services.settle_status([campaign.pk], timezone.now())
    campaign.refresh_from_db()
    return campaign


def recipients(audience: Audience) -> Recipients:
    """All chunks of an audience together."""
    whole = Recipients([], [], [])
    for chunk in audience.chunks.order_by("number"):
        for column, part in zip(whole, unpack_body(chunk.body), strict=True):
            column.extend(part)
    return whole


def failed_rows(campaign: Campaign) -> list[int]:
    failed = Message.objects.filter(campaign=campaign, status__in=resending.FAILED_STATUSES).order_by("row")
    return list(failed.values_list("row", flat=True))


# --- Who gets it again ------------------------------------------------------------------------------------


def test_what_failed_is_sent_again_as_new_messages_and_nothing_else(simulator):
    account = AccountFactory()
    numbers = ["+491511999901", "+491511999902", "+491512999901", "+491512999902", "+491511999907"]
    audience = audience_from_numbers(account, [(row, phone) for row, phone in enumerate(numbers, 11)])
    original = make_campaign(account, audience=audience)

    def is_closed() -> bool:
        original.refresh_from_db()
        return original.closed_at is not None

    eventually(is_closed, run_dry)
    sent_first = simulator.accepted_ids()
    resend = resend_failed(original, original.user)
    assert (resend.status, resend.resend_of, resend.total_recipients) == (CampaignStatus.RUNNING, original, 3)
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)
    again = Message.objects.filter(campaign=resend).order_by("id")
    assert [(message.row, message.phone_number) for message in again] == [
        (12, numbers[1]),
        (14, numbers[3]),
        (15, numbers[4]),
    ]
    accepted = simulator.accepted_ids()
    assert len(accepted) == len(set(accepted)) == len(sent_first) + 2  # the last number is refused by the provider
    assert not set(accepted) - set(sent_first) - {message.message_id for message in again}
    report_inbox.poll()
    report_inbox.apply_waiting()
    assert_counted(original)
    assert_counted(resend)


@pytest.mark.parametrize(
    ("asked", "rows"),
    [((), [5, 6, 7, 8]), ((S.UNCONFIRMED,), [4, 5, 6, 7, 8]), ((S.CANCELLED,), [5, 6, 7, 8, 9])],
)
def test_only_who_got_nothing_for_certain_unless_asked_for(asked, rows):
    original = ended(
        S.DELIVERED, S.SENT, S.SUPPRESSED, S.UNCONFIRMED, S.UNDELIVERED, S.REJECTED, S.FAILED, S.EXPIRED, S.CANCELLED
    )
    resend = resend_failed(original, original.user, (*resending.FAILED_STATUSES, *asked))
    assert recipients(resend.audience).rows == rows


@pytest.mark.parametrize("status", [S.QUEUED, S.UNKNOWN, S.SENT, S.DELIVERED, S.SUPPRESSED])
def test_what_may_still_arrive_or_was_never_to_be_sent_cannot_be_asked_for(status):
    original = ended(S.FAILED)
    with pytest.raises(ValidationError):
        resend_failed(original, original.user, (S.FAILED, status))
    assert not original.resends.exists()


def test_rows_whose_text_cannot_be_made_are_left_out():
    account = AccountFactory()
    audience = make_audience(account, 3, ("name",), [["Zoë"], [""], ["Ann"]])
    original = ended(S.FAILED, S.FAILED, S.FAILED, account=account, audience=audience, message="Hello {name}")
    resend = resend_failed(original, original.user)
    assert recipients(resend.audience) == Recipients([1, 3], [phones(3)[0], phones(3)[2]], [["Zoë"], ["Ann"]])


def test_nothing_is_made_when_no_text_can_be_made():
    account = AccountFactory()
    audience = make_audience(account, 2, ("name",), [[""], [" "]])
    original = ended(S.FAILED, S.FAILED, account=account, audience=audience, message="Hello {name}")
    with pytest.raises(InvalidState, match="cannot be made"):
        resend_failed(original, original.user)
    assert not original.resends.exists()


def test_each_recipient_gets_the_same_text_again(simulator):
    account = AccountFactory()
    audience = make_audience(account, 3, ("name", "city"), [["Zoë", "Köln"], ["Иван", ""], ["Bo", "Rom"]])
    text = "Hello {name} from {city|home}"
    original = ended(S.REJECTED, S.UNDELIVERED, S.DELIVERED, account=account, audience=audience, message=text)
    resend = resend_failed(original, original.user)
    expand_ready()
    again = Message.objects.filter(campaign=resend).order_by("id")
    assert [message.text for message in again] == ["Hello Zoë from Köln", "Hello Иван from home"]


def test_a_text_without_values_needs_no_columns():
    account = AccountFactory()
    audience = make_audience(account, 1, ("name",), [["Zoë"]])
    original = ended(S.FAILED, account=account, audience=audience, message="Hello {friend|you}")
    resend = resend_failed(original, original.user)
    expand_ready()
    assert (resend.audience.columns, Message.objects.get(campaign=resend).text) == ([], "Hello you")


def test_who_opted_out_since_gets_nothing(simulator):
    original = ended(S.FAILED, S.UNDELIVERED)
    suppress(original.account, phones(2)[1], "STOP")
    resend = resend_failed(original, original.user)
    run_dry()
    resend.refresh_from_db()
    assert (resend.suppressed, len(simulator.accepted_ids())) == (1, 1)


def test_a_resend_is_like_its_original():
    sender = SenderIdFactory()
    original = ended(
        S.FAILED,
        account=sender.account,
        sender_id=sender.value,
        mode="test",
        kind=CampaignKind.SINGLE,
        name="Parcel",
        callback_url="https://1.1.1.1/hook",
        quiet_from=time_of_day(21),
        quiet_until=time_of_day(8),
    )
    operator = MembershipFactory(account=sender.account).user
    resend = resend_failed(original, operator)
    no_times = {field: getattr(original, field) for field in COPIED if not field.startswith("canary_")}
    assert {"quiet_from", "quiet_until", "callback_url"} <= no_times.keys()
    for field in ("account", "kind", "mode", *no_times):
        assert getattr(resend, field) == getattr(original, field), field
    assert resend.user == operator
    assert expand_ready() == 1
    assert Batch.objects.get(campaign=resend).lane == Lane.SINGLES


@pytest.mark.parametrize(("hours", "is_kept"), [(1, True), (-1, False)])
def test_the_end_of_validity_is_kept_while_it_is_ahead(hours, is_kept):
    original = ended(S.EXPIRED)
    limit = timezone.now() + timedelta(hours=hours)
    Campaign.objects.filter(pk=original.pk).update(valid_until=limit)
    assert resend_failed(original, original.user).valid_until == (limit if is_kept else None)


# --- When it is allowed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        CampaignStatus.RUNNING,
        CampaignStatus.PAUSED,
        CampaignStatus.SCHEDULED,
        CampaignStatus.DRAFT,
        CampaignStatus.AWAITING_APPROVAL,
        CampaignStatus.MISSED,
    ],
)
def test_a_campaign_that_may_go_on_is_not_resent(status):
    original = ended(S.FAILED)
    Campaign.objects.filter(pk=original.pk).update(status=status)
    with pytest.raises(InvalidState):
        resend_failed(original, original.user)
    assert not original.resends.exists()


@pytest.mark.parametrize("open_status", ["queued", "unknown"])
def test_a_cancelled_campaign_is_resent_when_all_its_messages_are_closed(open_status):
    original = ended(S.FAILED, S.DELIVERED)
    Campaign.objects.filter(pk=original.pk).update(status=CampaignStatus.CANCELLED, **{open_status: 1})
    with pytest.raises(InvalidState, match="not known yet"):
        resend_failed(original, original.user)
    Campaign.objects.filter(pk=original.pk).update(**{open_status: 0})
    assert resend_failed(original, original.user).total_recipients == 1


def test_nothing_failed_nothing_is_resent():
    original = ended(S.DELIVERED, S.UNCONFIRMED)
    with pytest.raises(InvalidState, match="no failed messages"):
        resend_failed(original, original.user)


def test_a_campaign_is_resent_once_and_then_its_resend():
    original = ended(S.FAILED, S.FAILED, S.DELIVERED)
    first = resend_failed(original, original.user)
    with pytest.raises(InvalidState, match="already resent") as refusal:
        resend_failed(original, original.user)
    assert refusal.value.details["bulk_id"] == first.bulk_id
    expand_ready()
    for message, status in zip(Message.objects.filter(campaign=first).order_by("id"), (S.SENT, S.FAILED), strict=True):
        become(message, status)
    second = resend_failed(Campaign.objects.get(pk=first.pk), original.user)
    assert (recipients(second.audience).rows, second.resend_of) == ([2], first)
    with pytest.raises(InvalidState):
        resend_failed(original, original.user)


def test_a_resend_that_was_cancelled_before_it_started_does_not_count(settings):
    settings.CHUNK_SIZE = 2
    original = ended(*[S.FAILED] * 5)
    draft = resends.create_resend(original, original.user, ["failed"])
    assert fill_chunk(draft.pk) is True
    campaign_services.cancel(draft, original.user)
    assert fill_chunk(draft.pk) is False
    resend = resend_failed(original, original.user)
    assert recipients(resend.audience).rows == [1, 2, 3, 4, 5]
    campaign_services.cancel(resend, original.user)
    with pytest.raises(InvalidState):
        resend_failed(original, original.user)


def test_the_account_and_its_sender_are_asked_anew():
    sender = SenderIdFactory()
    original = ended(S.FAILED, account=sender.account, sender_id=sender.value)
    sender.delete()
    with pytest.raises(SenderNotAllowed):
        resend_failed(original, original.user)
    suspend_account(original.account)
    with pytest.raises(AccountSuspended):
        resend_failed(original, original.user)
    assert not original.resends.exists()


# --- Gathering many ---------------------------------------------------------------------------------------


@pytest.fixture
def large(settings) -> Campaign:
    """Chunks and batches of a few rows, and a part of them failed: gathered in the background."""
    settings.CHUNK_SIZE, settings.BATCH_SIZE = 7, 3
    outcomes = random.Random(5).choices((S.FAILED, S.DELIVERED, S.UNDELIVERED, S.UNCONFIRMED), k=60)
    original = ended(*outcomes)
    settings.CHUNK_SIZE = 5
    return original


@pytest.fixture
def draft(large, monkeypatch) -> Campaign:
    monkeypatch.setattr(resending, "AT_ONCE", 0)
    return resend_failed(large, large.user)


def assert_complete(draft: Campaign) -> None:
    draft.refresh_from_db()
    assert draft.status == CampaignStatus.RUNNING
    rows = failed_rows(draft.resend_of)
    assert recipients(draft.audience).rows == rows
    assert (draft.total_recipients, draft.chunk_count) == (len(rows), draft.audience.chunks.count())
    while expand_ready():
        pass
    assert list(Message.objects.filter(campaign=draft).order_by("id").values_list("row", flat=True)) == rows


def test_a_large_resend_is_gathered_in_the_background_and_starts_by_itself(draft):
    assert (draft.status, draft.total_recipients, draft.audience.chunk_count) == (CampaignStatus.DRAFT, 0, 0)
    assert expand_ready() == 0
    fill_resends()
    assert_complete(draft)


@pytest.mark.parametrize("count", [5, 10])
def test_full_chunks_only_are_an_end_too(count, settings, monkeypatch):
    monkeypatch.setattr(resending, "AT_ONCE", 0)
    original = ended(*[S.FAILED] * count)
    settings.CHUNK_SIZE = 5
    draft = resend_failed(original, original.user)
    fill_resends()
    assert_complete(draft)


def test_a_task_whose_time_is_over_leaves_the_rest_to_the_next(draft, settings):
    settings.TASK_BUDGET = 0.0
    assert fill_resends() == 0
    assert fill_chunk(draft.pk) is True
    settings.TASK_BUDGET = 30.0
    fill_resends()
    assert_complete(draft)


@pytest.mark.parametrize("place", ["add_recipients", "show_gathered", "launch_resend"])
def test_a_process_that_dies_while_gathering_leaves_no_row_twice_or_out(draft, place, monkeypatch):
    """It dies right after each of these has done its work, every second time that it gets there."""
    real, deaths = getattr(resending, place), []

    def die_after(*arguments, **options):
        real(*arguments, **options)
        deaths.append(len(deaths) % 2 == 0)
        if deaths[-1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(resending, place, die_after)
    more = True
    while more:
        try:
            more = fill_chunk(draft.pk)
        except KeyboardInterrupt:
            continue
    assert any(deaths)
    assert_complete(draft)


def test_a_stale_look_at_the_draft_adds_nothing(draft, monkeypatch):
    """Another process stores the same chunk between our reading and our transaction."""
    real = resending._next_messages

    def overtaken(stale):
        messages = real(stale)
        monkeypatch.setattr(resending, "_next_messages", real)
        assert fill_chunk(draft.pk) is True
        return messages

    monkeypatch.setattr(resending, "_next_messages", overtaken)
    assert fill_chunk(draft.pk) is True
    draft.audience.refresh_from_db()
    assert draft.audience.chunk_count == 1
    fill_resends()
    assert_complete(draft)


def test_a_draft_that_cannot_be_read_stops_no_other_and_begins_nothing_anew(draft, monkeypatch):
    assert fill_chunk(draft.pk) is True
    _, phone = resending.last_recipient(draft.audience)
    Message.objects.filter(campaign=draft.resend_of, phone_number=phone).update(phone_number="+491510000000")
    other_original = ended(S.FAILED)
    other = resend_failed(other_original, other_original.user)
    fill_resends()
    draft.refresh_from_db()
    other.refresh_from_db()
    assert (draft.status, draft.audience.chunk_count) == (CampaignStatus.DRAFT, 1)
    assert other.status == CampaignStatus.RUNNING


def test_a_resend_with_nobody_left_is_complete(monkeypatch):
    monkeypatch.setattr(resending, "AT_ONCE", 0)
    original = ended(S.UNDELIVERED)
    draft = resend_failed(original, original.user)
    settlement.apply([Fact(Message.objects.get(campaign=original).id, S.DELIVERED, FactSource.PUSH)])
    fill_resends()
    draft.refresh_from_db()
    assert (draft.status, draft.total_recipients) == (CampaignStatus.COMPLETED, 0)


def test_only_batches_that_hold_what_failed_are_read(draft):
    few = Batch.objects.filter(campaign=draft.resend_of, failed=0, undelivered=0).count()
    assert few
    chosen = resending._batches(Campaign.objects.get(pk=draft.pk), 0)
    assert len(chosen) == Batch.objects.filter(campaign=draft.resend_of).count() - few


# --- Two at once ------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_two_clicks_make_one_resend():
    original = ended(*[S.FAILED] * 20)
    refusals = []

    def click() -> None:
        try:
            resend_failed(original, original.user)
        except InvalidState as refusal:
            refusals.append(refusal)

    run_together(*[click] * 4)
    assert len(refusals) == 3
    assert recipients(original.resends.get().audience).rows == list(range(1, 21))


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_workers_that_gather_at_once_store_each_row_once(draft):
    run_together(*[fill_resends] * 4)
    fill_resends()
    assert_complete(draft)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_cancelling_while_the_last_chunk_is_stored_is_not_undone(draft, settings, monkeypatch):
    """The person's click comes in the middle of the transaction that starts the campaign."""
    real, clicks = resending.add_recipients, []

    def clicked_meanwhile(audience, recipients):
        if len(recipients.rows) < settings.CHUNK_SIZE:
            clicks.append(threading.Thread(target=cancel))
            clicks[0].start()
            deadline = time.monotonic() + 10
            while clicks[0].is_alive() and not waiting_for_a_lock() and time.monotonic() < deadline:
                pass
        real(audience, recipients)

    def cancel() -> None:
        campaign_services.cancel(draft, draft.user)
        connection.close()

    monkeypatch.setattr(resending, "add_recipients", clicked_meanwhile)
    fill_resends()
    clicks[0].join(10)
    draft.refresh_from_db()
    assert draft.status == CampaignStatus.CANCELLED


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw first
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0
