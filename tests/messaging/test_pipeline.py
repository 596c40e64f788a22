"""From a campaign to delivery reports, through the real simulator: what goes wrong is made to go wrong."""

import threading
import time
from collections import Counter
from concurrent.futures import Future
from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from campaigns import services as campaign_services
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from campaigns.texts.rendering import Renderer
from messaging.choices import AttemptState, BatchState, FactSource, Lane, MessageStatus, Reason
from messaging.gateways import registry
from messaging.models import Attempt, Batch, DeliveryReport, Message
from messaging.outcomes import reconciliation, report_inbox
from messaging.sending import dispatch, in_flight, leases, record, submit
from messaging.sending.expansion import expand_chunk, expand_ready
from messaging.upkeep import sweeps
from smsapp.core import clock
from tests.support.factories import make_audience, make_campaign, phones
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import opened_of
from uploads.suppressions import suppress

pytestmark = pytest.mark.django_db
S = MessageStatus


def test_a_campaign_is_sent_once_and_its_reports_come_back(simulator, settings):
    settings.BATCH_SIZE = 10
    campaign = make_campaign(count=25)
    expand_ready()
    assert send() == 3
    assert statuses() == {"sent": 25}
    eventually(lambda: statuses() == {"delivered": 25}, run_dry)
    assert sorted(simulator.accepted_ids()) == sorted(m.message_id for m in Message.objects.all())
    campaign.refresh_from_db()
    assert (campaign.status, campaign.closed_at is not None) == (CampaignStatus.COMPLETED, True)
    assert_counted(campaign)
    assert DeliveryReport.objects.filter(price__isnull=False).count() == 25


def test_each_recipient_gets_their_own_text(simulator):
    account = make_campaign().account
    audience = make_audience(account, 2, ("name", "city"), [["Zoë", "Köln"], ["Иван", ""]])
    campaign = make_campaign(account, audience=audience, message="Hello {name} from {city|home}")
    expand_ready()
    send()
    assert [m.text for m in Message.objects.filter(campaign=campaign).order_by("id")] == [
        "Hello Zoë from Köln",
        "Hello Иван from home",
    ]


def test_a_row_without_a_value_is_not_sent_and_says_which(simulator):
    account = make_campaign(count=1).account
    audience = make_audience(account, 2, ("name",), [[""], ["Ann"]])
    campaign = make_campaign(account, audience=audience, message="Hello {name}")
    expand_ready()
    failed = Message.objects.get(campaign=campaign, status=S.FAILED)
    assert (failed.reason, failed.detail) == (Reason.MISSING_VALUE, "name")
    assert_counted(campaign)


def test_expanding_twice_makes_each_message_once(settings):
    settings.CHUNK_SIZE = 4
    campaign = make_campaign(count=10)
    assert expand_ready() == 3
    assert expand_chunk(campaign, 1) is False
    campaign.refresh_from_db()
    assert (Message.objects.count(), campaign.queued, campaign.chunks_done) == (10, 10, 3)
    assert sorted(Message.objects.values_list("phone_number", flat=True)) == phones(10)


def test_values_and_reasons_are_stored_as_they_are(settings):
    settings.BATCH_SIZE = 2
    account = make_campaign(count=1).account
    values = [
        ["back\\slash \\n", "a"],
        ['quote" tab\t', "line\nfeed\r"],
        ['😀 ]",["', "é"],
        ["", "x"],
        [" \u00a0", "x"],
    ]
    audience = make_audience(account, 5, ("na\\me", "beginning"), values)
    campaign = make_campaign(account, audience=audience, message="{na\\me}, {beginning|nobody}")
    expand_ready()
    stored = list(Message.objects.filter(campaign=campaign).order_by("id"))
    assert [orjson.loads(message.variables) for message in stored] == values
    assert [message.text for message in stored[:3]] == [f"{first}, {second}" for first, second in values[:3]]
    assert [(S(message.status).label, message.reason, message.detail, message.segment_count) for message in stored] == [
        *[("queued", "", "", 1)] * 3,
        *[("failed", Reason.MISSING_VALUE, "na\\me", 0)] * 2,
    ]
    assert [message.phone_number for message in stored] == phones(5)
    batches = Batch.objects.filter(campaign=campaign).order_by("part")
    assert [(b.size, b.queued, b.failed, b.state) for b in batches] == [
        (2, 2, 0, BatchState.READY),
        (2, 1, 1, BatchState.READY),
        (1, 0, 1, BatchState.DONE),
    ]
    assert_counted(campaign)


def test_a_text_that_no_row_can_have_fails_every_message_and_ends_the_campaign(simulator):
    account = make_campaign(count=1).account
    audience = make_audience(account, 2, ("name",), [["x" * 1601], ["y" * 1602]])
    campaign = make_campaign(account, audience=audience, message="{name}")
    expand_ready()
    failed = Message.objects.filter(campaign=campaign, status=S.FAILED).order_by("id")
    assert [(m.reason, m.detail) for m in failed] == [(Reason.TEXT_TOO_LONG, "1601"), (Reason.TEXT_TOO_LONG, "1602")]
    campaign.refresh_from_db()
    assert (campaign.status, campaign.closed_at is not None) == (CampaignStatus.COMPLETED, True)
    assert_counted(campaign)


def test_texts_are_made_before_the_database_is_locked(monkeypatch, settings):
    settings.CHUNK_SIZE, locked = 4, []
    real, outer = Renderer.render, len(connection.savepoint_ids)

    def render(self, *values):
        locked.append(len(connection.savepoint_ids) > outer)
        return real(self, *values)

    account = make_campaign(count=1).account
    expand_ready()
    audience = make_audience(account, 6, ("name",), [["Ann"]] * 6)
    make_campaign(account, audience=audience, message="Hello {name}")
    monkeypatch.setattr(Renderer, "render", render)
    assert expand_ready() == 2
    assert locked == [False] * 6


def test_a_paused_campaign_sends_nothing_and_resumes_where_it_stopped(simulator):
    campaign = make_campaign(count=5)
    expand_ready()
    campaign_services.pause(campaign, campaign.user)
    assert send() == 0
    campaign.refresh_from_db()
    campaign_services.resume(campaign, campaign.user)
    assert send() == 1
    assert len(simulator.accepted_ids()) == 5


def test_no_call_begins_after_pause_has_answered(simulator):
    campaign = make_campaign(count=5)
    expand_ready()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    campaign_services.pause(campaign, campaign.user)
    assert opened_of(batch) is None
    batch.refresh_from_db()
    assert (batch.state, batch.lease_owner, Attempt.objects.count()) == (BatchState.READY, "", 0)


def test_cancel_closes_what_has_not_left(simulator):
    campaign = make_campaign(count=5)
    expand_ready()
    campaign_services.cancel(campaign, campaign.user)
    sweeps.sweep()
    assert statuses() == {"cancelled": 5}
    campaign.refresh_from_db()
    assert (campaign.status, campaign.closed_at is not None) == (CampaignStatus.CANCELLED, True)
    assert simulator.accepted_ids() == []
    assert_counted(campaign)


def test_an_opt_out_is_honoured_at_the_last_moment(simulator):
    campaign = make_campaign(count=3)
    expand_ready()
    suppress(campaign.account, phones(3)[1], "STOP")
    send()
    assert statuses() == {"sent": 2, "suppressed": 1}
    assert phones(3)[1] not in {message["to"] for message in simulator.messages()}
    assert_counted(campaign)


def test_nothing_is_handed_over_after_its_validity(simulator):
    campaign = make_campaign(count=3, valid_until=timezone.now() + timedelta(hours=1))
    expand_ready()
    type(campaign).objects.filter(pk=campaign.pk).update(valid_until=timezone.now() - timedelta(seconds=1))
    send()
    assert statuses() == {"expired": 3}
    assert simulator.accepted_ids() == []


def test_a_provider_is_told_no_more_time_than_is_left(simulator):
    make_campaign(count=1, valid_until=timezone.now() + timedelta(seconds=20))
    expand_ready()
    started = time.monotonic()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    assert 0 < call.submission.validity <= 20
    assert call.submission.begin_before < started + 20


def test_each_call_of_a_batch_is_told_the_time_that_is_left_when_it_is_prepared(simulator, monkeypatch):
    make_campaign(count=2, valid_until=timezone.now() + timedelta(seconds=30))
    expand_ready()
    Batch.objects.update(call_size=1)
    told, now = [], clock.now
    for passed in (0, 20):
        monkeypatch.setattr(clock, "now", lambda passed=passed: now() + timedelta(seconds=passed))
        (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
        call = opened_of(batch)
        told.append(call.submission.validity)
        record.record(submit.make_call(call))
        Batch.objects.update(call_size=1)
    assert 25 < told[0] <= 30
    assert 5 < told[1] <= 10


def test_less_than_a_provider_can_be_told_is_too_late(simulator):
    campaign = make_campaign(count=1, valid_until=timezone.now() + timedelta(hours=1))
    expand_ready()
    Campaign.objects.filter(pk=campaign.pk).update(valid_until=timezone.now() + timedelta(seconds=0.9))
    send()
    assert statuses() == {"expired": 1}


def test_a_wrong_key_pauses_with_the_reason_and_fails_nothing(simulator, settings):
    settings.SIMULATOR_API_KEY = "wrong"
    campaign = make_campaign(count=4)
    expand_ready()
    send()
    campaign.refresh_from_db()
    assert (campaign.status, campaign.pause_reason) == (CampaignStatus.PAUSED, "gateway_refused")
    assert campaign.status_detail
    assert statuses() == {"queued": 4}
    settings.SIMULATOR_API_KEY = simulator.api_key
    registry.reset()
    campaign_services.resume(campaign, campaign.user)
    send()
    assert statuses() == {"sent": 4}
    assert len(simulator.accepted_ids()) == 4


def test_an_account_without_credit_pauses_and_fails_nothing(simulator):
    simulator.set_faults(refuse_account=1.0)
    campaign = make_campaign(count=4)
    expand_ready()
    send()
    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.PAUSED
    assert "NOT_ENOUGH_CREDITS" in campaign.status_detail
    assert statuses() == {"queued": 4}
    assert_counted(campaign)


def test_half_of_the_calls_under_way_are_recorded_together():
    calls = [Future() for _ in range(4)]
    calls[0].set_result("first")
    threading.Timer(0.05, calls[1].set_result, ["second"]).start()
    assert in_flight.wait_for_some(calls, gather=60) == {calls[0], calls[1]}


@pytest.mark.parametrize("gather", [0, 0.01])
def test_an_answer_waits_no_longer_than_is_allowed_for_others(gather):
    calls = [Future() for _ in range(4)]
    calls[0].set_result("first")
    assert in_flight.wait_for_some(calls, gather) == {calls[0]}


def test_an_answer_that_is_the_last_waits_for_nobody():
    last = Future()
    last.set_result("last")
    began = time.monotonic()
    assert in_flight.wait_for_some([last], gather=60) == {last}
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("fault", "share"),
    [("throttle", 1.0), ("throttle_with_retry_after", 1.0), ("refuse_400", 0.5), ("refuse_401", 0.5)],
)
def test_what_was_certainly_not_sent_is_sent_later_and_once(simulator, fault, share):
    simulator.set_faults(**{fault: share}, retry_after=0.1)
    campaign = make_campaign(count=40)

    def go_on():
        run_dry()
        campaign.refresh_from_db()
        if campaign.status == CampaignStatus.PAUSED:
            campaign_services.resume(campaign, campaign.user)

    if share == 1.0:  # each 429 lowers our pace: one is enough
        expand_ready()
        dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=0.1)
        assert (simulator.accepted_ids(), simulator.ledger()["posts"]) == ([], 1)
        simulator.set_faults()
    eventually(lambda: len(simulator.accepted_ids()) + statuses()["rejected"] >= 40, go_on, 30)
    assert max(Counter(simulator.accepted_ids()).values()) == 1


def test_a_gateway_that_is_down_makes_messages_wait_and_then_go(simulator, settings):
    settings.SIMULATOR_URL = "http://127.0.0.1:9"
    registry.reset()
    campaign = make_campaign(count=3)
    expand_ready()
    send()
    assert statuses() == {"queued": 3}
    assert {attempt.state for attempt in Attempt.objects.all()} == {AttemptState.NOT_SENT}
    settings.SIMULATOR_URL = simulator.url
    registry.reset()
    eventually(lambda: statuses() == {"sent": 3}, send)
    assert_counted(campaign)


LOST_ANSWERS = [
    "accept_reset",
    "accept_hang",
    "accept_500",
    "truncated_json",
    "cut_body",
    "html_200",
    "slow_drip",
]


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_a_lost_answer_is_looked_up_and_never_sent_again(simulator, fault):
    simulator.set_faults(**{fault: 1.0}, refuse_repeated=0)
    campaign = make_campaign(count=3)
    expand_ready()
    send()
    assert statuses() == {"unknown": 3}
    simulator.set_faults(refuse_repeated=0)

    def look_up():
        send()
        reconciliation.reconcile()

    eventually(lambda: Attempt.objects.get().state == AttemptState.RESOLVED, look_up)
    assert set(statuses()) <= {"sent", "delivered"}
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert max(Counter(simulator.accepted_ids()).values()) == 1
    assert_counted(campaign)


@pytest.mark.parametrize("fault", ["error_500", "unavailable_503", "reset_before", "hang_before"])
def test_what_never_arrived_is_sent_again_once_absence_is_proof(simulator, fault):
    simulator.set_faults(**{fault: 1.0}, refuse_repeated=0)
    make_campaign(count=3)
    expand_ready()
    send()
    assert statuses() == {"unknown": 3}
    simulator.set_faults(refuse_repeated=0)
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert sorted(Counter(simulator.accepted_ids()).values()) == [1, 1, 1]


def test_without_a_time_after_which_absence_is_proof_nothing_is_sent_again(simulator, settings):
    settings.SIMULATOR_RESEND_UNKNOWN_AFTER = None
    settings.UNKNOWN_CLOSE_AFTER = 0.5
    settings.SIMULATOR_UNKNOWN_GRACE = 0.01
    settings.GATEWAY_TIMEOUT = 0.3
    registry.reset()
    simulator.set_faults(reset_before=1.0)
    campaign = make_campaign(count=2)
    expand_ready()
    send()
    simulator.set_faults()
    eventually(lambda: statuses() == {"unconfirmed": 2}, run_dry)
    assert simulator.accepted_ids() == []
    assert {message.reason for message in Message.objects.all()} == {Reason.NO_PROOF}
    assert_counted(campaign)


def test_an_outage_of_the_log_is_no_proof_of_absence(simulator):
    simulator.set_faults(accept_reset=1.0, log_outage=1.0, refuse_repeated=0)
    make_campaign(count=2)
    expand_ready()
    send()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        reconciliation.reconcile()
        send()
        Attempt.objects.update(next_lookup_at=timezone.now())
    assert statuses() == {"unknown": 2}
    assert len(simulator.accepted_ids()) == 2


def test_ids_missing_in_the_answer_become_unknown_not_sent(simulator):
    simulator.set_faults(omit_ids=0.5)
    campaign = make_campaign(count=20)
    expand_ready()
    send()
    now = statuses()
    assert now["sent"] + now["unknown"] == 20
    assert 0 < now["unknown"] < 20
    simulator.set_faults()
    eventually(lambda: statuses() == {"delivered": 20}, run_dry)
    assert len(simulator.accepted_ids()) == 20
    assert_counted(campaign)


def test_a_worker_that_dies_in_a_call_leaves_an_unknown_that_is_cleared_up(simulator):
    """The attempt is committed, the provider has the messages, and nobody ever records the answer."""
    make_campaign(count=3)
    expand_ready()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    assert submit.make_call(call).answer is not None
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    assert statuses() == {"unknown": 3}
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert len(simulator.accepted_ids()) == 3


def test_a_worker_that_dies_before_its_call_gives_the_batch_back(simulator):
    make_campaign(count=3)
    expand_ready()
    leases.lease(Lane.CAMPAIGNS, 1)
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    assert send() == 1
    assert len(simulator.accepted_ids()) == 3


def test_a_worker_whose_lease_ended_cannot_open_an_attempt(simulator):
    make_campaign(count=3)
    expand_ready()
    (old,) = leases.lease(Lane.CAMPAIGNS, 1)
    Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    (new,) = leases.lease(Lane.CAMPAIGNS, 1)
    assert opened_of(old) is None
    assert opened_of(new) is not None


def test_a_call_does_not_begin_when_the_lease_is_nearly_over(simulator, settings):
    settings.LEASE_SECONDS = 0.9  # less than the time-out of a call
    make_campaign(count=3)
    expand_ready()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    result = submit.make_call(opened_of(batch))
    record.record(result)
    assert result.error is not None
    assert simulator.accepted_ids() == []
    assert statuses() == {"queued": 3}


def test_a_batch_that_kills_its_workers_is_stopped(simulator, settings):
    settings.MAX_LEASES = 3
    campaign = make_campaign(count=2)
    expand_ready()
    for _ in range(3):
        assert leases.lease(Lane.CAMPAIGNS, 1)
        Batch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        sweeps.sweep()
    assert statuses() == {"failed": 2}
    assert {message.reason for message in Message.objects.all()} == {Reason.POISON}
    assert_counted(campaign)


def test_a_report_that_never_comes_is_stated_as_unconfirmed(simulator):
    simulator.set_faults(report_never=1.0)
    campaign = make_campaign(count=2)
    expand_ready()
    send()
    Batch.objects.update(report_deadline=timezone.now() - timedelta(seconds=1))
    sweeps.sweep()
    assert statuses() == {"unconfirmed": 2}
    campaign.refresh_from_db()
    assert campaign.closed_at is not None
    assert_counted(campaign)


def test_refusals_of_single_numbers_are_theirs_alone(simulator):
    account = make_campaign(count=1).account
    type(account.campaigns.first()).objects.update(status=CampaignStatus.CANCELLED)
    audience = make_audience(account, 3)
    campaign = make_campaign(account, audience=audience)
    expand_ready()
    simulator.set_faults(refuse_message=0.5)
    send()
    now = Counter(S(m.status).label for m in Message.objects.filter(campaign=campaign))
    assert now["sent"] + now["rejected"] == 3
    assert_counted(campaign)


def test_accounts_take_turns(simulator, settings):
    settings.BATCH_SIZE = 1
    first = make_campaign(count=6)
    expand_ready()
    second = make_campaign(count=3)
    expand_ready()
    order = [batch.account_id for _ in range(9) for batch in leases.lease(Lane.CAMPAIGNS, 1)]
    assert order[:6].count(second.account_id) == 3
    assert order.count(first.account_id) == 6


def test_an_unreadable_body_of_reports_stops_no_other(simulator):
    make_campaign(count=2)
    expand_ready()
    report_inbox.receive("simulator", FactSource.POLL, b"not json", 1)
    send()
    eventually(lambda: statuses() == {"delivered": 2}, run_dry)
    waiting = report_inbox.ReportInbox.objects.get(applied_at=None)
    assert waiting.error
    assert waiting.failure_count >= 1
