"""Quiet hours on the recipient's clock, and first recipients that go before the others."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from accounts.models import QuietHours
from campaigns import services
from campaigns.choices import CampaignKind, CampaignStatus, CanaryState, PauseReason
from campaigns.scheduling import quiet_hours
from campaigns.scheduling.quiet_hours import Quiet, Window
from messaging.choices import BatchState, Lane, MessageStatus
from messaging.models import Batch, Message
from messaging.outcomes import report_inbox
from messaging.sending import canary, dispatch, expansion
from messaging.upkeep import sweeps
from smsapp.lib.zones import zones_of
from tests.support.factories import AccountFactory, SenderIdFactory, make_campaign, phones
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db
NIGHT = Window(time(21), time(8))
BERLIN, NEW_YORK, LOS_ANGELES, MUMBAI = "+4915112000001", "+12125550100", "+13105550100", "+919812345678"
SOMEWHERE_IN_US = "+18005550100"  # a number that is in all zones of the country


@pytest.fixture(autouse=True)
def fresh() -> Any:
    quiet_hours.forget()
    yield
    quiet_hours.forget()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("phone", "moment", "until"),
    [
        (BERLIN, "2027-01-15T12:00", None),
        (BERLIN, "2027-01-15T19:59", None),
        (BERLIN, "2027-01-15T20:00", "2027-01-16T07:00"),
        (BERLIN, "2027-01-16T06:59", "2027-01-16T07:00"),
        (BERLIN, "2027-01-16T07:00", None),
        (BERLIN, "2027-03-27T22:00", "2027-03-28T06:00"),  # the night in which the clocks go forward
        (BERLIN, "2027-10-30T22:00", "2027-10-31T07:00"),  # and back
        (NEW_YORK, "2027-01-15T12:00", "2027-01-15T13:00"),
        (LOS_ANGELES, "2027-01-15T13:00", "2027-01-15T16:00"),
        (LOS_ANGELES, "2027-01-15T16:00", None),
        (MUMBAI, "2027-01-15T02:29", "2027-01-15T02:30"),
        (MUMBAI, "2027-01-15T02:30", None),
    ],
)
def test_when_a_number_may_be_texted(phone: str, moment: str, until: str | None) -> None:
    assert Quiet(NIGHT).until(phone, at(moment)) == (at(until) if until else None)


def test_a_number_that_may_be_in_several_zones_must_be_out_of_the_night_in_all_of_them() -> None:
    zones = zones_of(SOMEWHERE_IN_US)
    assert {"America/New_York", "America/Los_Angeles"} <= set(zones)
    for hour in range(24):
        moment = at("2027-01-15T00:00") + timedelta(hours=hour)
        release = Quiet(NIGHT).until(SOMEWHERE_IN_US, moment) or moment
        assert release >= moment
        hours = {name: release.astimezone(quiet_hours_zone(name)).hour for name in zones}
        east, west = hours["America/New_York"], hours["America/Los_Angeles"]
        assert 8 <= east < 21, (moment, hours)
        assert 8 <= west < 21, (moment, hours)


def quiet_hours_zone(name: str) -> Any:
    from smsapp.lib.zones import zone

    return zone(name)


def test_what_applies_campaign_then_account_then_country_and_never_to_the_exempt() -> None:
    QuietHours.objects.create(prefix="49", begins=time(22), ends=time(7))
    QuietHours.objects.create(prefix="33", begins=time(20), ends=time(9), is_enabled=False)
    account = AccountFactory()
    night = at("2027-01-15T20:30")  # 21:30 in Berlin
    campaign = make_campaign(account)
    assert quiet_hours.quiet_of(campaign).until(BERLIN, night) is None, "the country's begin at ten"
    assert quiet_hours.quiet_of(campaign).until(BERLIN, night + timedelta(hours=1)) == at("2027-01-16T06:00")
    assert quiet_hours.quiet_of(campaign).until("+33612345678", night + timedelta(hours=1)) is None
    account.quiet_from, account.quiet_until = time(21), time(8)
    account.save()
    quiet_hours.forget()
    assert quiet_hours.quiet_of(make_campaign(account)).until(BERLIN, night) == at("2027-01-16T07:00")
    own = make_campaign(account, quiet_from=time(23), quiet_until=time(6))
    assert quiet_hours.quiet_of(own).until(BERLIN, night) is None
    assert quiet_hours.quiet_of(make_campaign(account, kind=CampaignKind.SINGLE)).is_none
    SenderIdFactory(account=account, value="CODES", is_transactional=True)
    assert quiet_hours.quiet_of(make_campaign(account, sender_id="CODES")).is_none


def test_what_falls_into_the_night_is_held_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    account = AccountFactory()
    audience = audience_from_numbers(account, [(1, BERLIN), (2, NEW_YORK), (3, LOS_ANGELES), (4, "+4915112000002")])
    noon = datetime(2027, 1, 15, 11, tzinfo=UTC)  # 12:00 in Berlin, 06:00 in New York, 03:00 in Los Angeles
    monkeypatch.setattr("messaging.sending.expansion.clock.now", lambda: noon)
    campaign = make_campaign(account, audience=audience, quiet_from=time(21), quiet_until=time(8))
    expansion.expand_ready()
    monkeypatch.undo()
    held = Batch.objects.filter(state=BatchState.DEFERRED).order_by("release_at")
    assert [(b.size, b.release_at) for b in held] == [(1, at("2027-01-15T13:00")), (1, at("2027-01-15T16:00"))]
    ready = Batch.objects.get(state=BatchState.READY)
    assert (ready.size, ready.release_at) == (2, None)
    Batch.objects.filter(pk=held[0].pk).update(release_at=at("2020-01-01T00:00"))
    sweeps.sweep()
    assert Batch.objects.filter(state=BatchState.DEFERRED).count() == 1
    campaign.refresh_from_db()
    assert campaign.queued == 4


def test_a_batch_that_was_held_up_into_the_night_is_put_off_when_it_is_opened(
    simulator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_campaign(quiet_from=time(0), quiet_until=time(0, 1))
    expansion.expand_ready()
    always = Quiet(Window(time(0), time(23, 59)))
    monkeypatch.setattr("messaging.sending.prepare.quiet_of", lambda campaign: always)
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    batch = campaign.batches.get()
    assert (batch.state, batch.queued) == (BatchState.READY, 3)
    assert simulator.messages() == []


# --- first recipients ------------------------------------------------------------------------------------------------


def canary_campaign(numbers: list[str], **options: Any) -> Any:
    account = AccountFactory()
    campaign = make_campaign(
        account, audience=audience_from_numbers(account, list(enumerate(numbers, 1))), **{"canary_wait": 60} | options
    )
    expansion.expand_ready()
    return campaign


def send_all(simulator: Any) -> None:
    for _ in range(3):
        dispatch.dispatch_ready(Lane.CAMPAIGNS)
        report_inbox.poll()
        report_inbox.apply_waiting()
        sweeps.sweep()


GOOD, BAD = "+447900{:03d}901", "+4479{:02d}999903"


def test_the_others_wait_for_the_first_and_follow_when_enough_got_it(simulator: Any) -> None:
    campaign = canary_campaign(phones(10), canary_size=4)
    assert sorted(campaign.batches.values_list("size", "waits_for_canary")) == [(4, False), (6, True)]
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    campaign.refresh_from_db()
    assert (campaign.sent, campaign.canary_state) == (4, CanaryState.SENDING)
    sweeps.sweep()
    campaign.refresh_from_db()
    assert (campaign.canary_state, campaign.canary_due_at is not None) == (CanaryState.WAITING, True)
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    assert len(simulator.messages()) == 4, "the others wait"
    send_all(simulator)
    campaign.refresh_from_db()
    assert (campaign.canary_state, campaign.delivered) == (CanaryState.PASSED, 10)
    assert campaign.status == CampaignStatus.COMPLETED


def test_when_too_few_got_it_the_campaign_is_paused_and_a_person_may_go_on(simulator: Any) -> None:
    numbers = [BAD.format(n) for n in range(10, 14)] + phones(6)
    campaign = canary_campaign(numbers, canary_size=4)
    send_all(simulator)
    campaign.refresh_from_db()
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, PauseReason.CANARY)
    assert campaign.status_detail == "0 of the first 4 recipients got it; at least 80 % were required."
    assert len(simulator.messages()) == 4
    services.resume(campaign, campaign.user)
    send_all(simulator)
    campaign.refresh_from_db()
    assert (campaign.canary_state, campaign.delivered) == (CanaryState.PASSED, 6)


def test_reports_that_do_not_come_in_time_count_as_not_delivered(simulator: Any) -> None:
    campaign = canary_campaign(["+447900999910", *phones(5)], canary_size=1)
    send_all(simulator)
    campaign.refresh_from_db()
    assert campaign.canary_state == CanaryState.WAITING
    assert canary.check_due() == 0
    campaign.canary_due_at = at("2020-01-01T00:00")
    campaign.save()
    assert canary.check_due() == 1
    campaign.refresh_from_db()
    assert (campaign.canary_state, campaign.status) == (CanaryState.FAILED, CampaignStatus.PAUSED)


def test_percent_of_all_and_so_few_that_nobody_waits(simulator: Any, settings: Any) -> None:
    settings.CHUNK_SIZE, settings.BATCH_SIZE = 4, 3
    campaign = canary_campaign(phones(11), canary_percent=50)
    assert campaign.canary_size == 6
    first = campaign.batches.filter(waits_for_canary=False)
    assert sum(first.values_list("size", flat=True)) == 6, "across chunks"
    few = canary_campaign(phones(3), canary_size=3)
    assert (few.canary_state, few.batches.filter(waits_for_canary=True).count()) == ("", 0)


def test_batches_made_while_the_others_were_let_go_follow_as_well() -> None:
    campaign = canary_campaign(phones(10), canary_size=4)
    campaign.canary_state = CanaryState.PASSED
    campaign.save()
    sweeps.sweep()
    assert not campaign.batches.filter(waits_for_canary=True).exists()
    assert Message.objects.filter(status=MessageStatus.QUEUED).count() == 10
