"""What happens when a worker is late, frozen or broken in the middle: found in review, kept from coming back."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from campaigns import services as campaign_services
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, FactSource, Lane, MessageStatus, Reason
from messaging.gateways.base import Lookup, NotSent, OutgoingMessage, Report, Submission, SubmitAnswer, Unknown
from messaging.models import Attempt, Batch, Message
from messaging.outcomes import late_refusals, reconciliation, report_inbox, settlement
from messaging.sending import dispatch, leases, prepare, record, submit
from messaging.sending.expansion import expand_chunk, expand_ready
from messaging.sending.fair_queue import next_turn
from messaging.upkeep import sweeps
from tests.support.factories import make_campaign
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import lose, opened, opened_of, overdue
from uploads.models import AudienceChunk

pytestmark = pytest.mark.django_db
S = MessageStatus
ABSENT = Lookup(reports=(), conclusive=True)


def test_a_look_up_says_nothing_of_messages_that_a_later_call_carries(simulator):
    """Call 1: one id refused for the account's sake (stays queued), one missing. Call 2 carries the refused one."""
    simulator.set_faults(refuse_repeated=0)
    campaign = make_campaign(count=2)
    expand_ready()
    call = opened()
    first, second = call.submission.messages
    refused = Report(first.message_id, S.REJECTED, account_refused=True, provider_status="NO_CREDIT")
    record.record(submit.Result(call, answer=SubmitAnswer(200, [refused])))
    settlement.apply(settlement.facts_from([Report(second.message_id, S.DELIVERED)], FactSource.PUSH)[0])
    campaign_services.resume(Campaign.objects.get(pk=campaign.pk), campaign.user)
    again = opened()
    assert [message.message_id for message in again.submission.messages] == [first.message_id]
    submit.make_call(again)
    lose(again)
    old = Attempt.objects.get(pk=call.attempt.pk)
    Attempt.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(minutes=5))
    old.refresh_from_db()
    asked = replace(reconciliation.ask(old), answer=ABSENT)
    reconciliation.record(asked)
    assert statuses() == {"delivered": 1, "unknown": 1}
    eventually(lambda: statuses() == {"delivered": 2}, run_dry)
    assert Counter(simulator.accepted_ids()) == {first.message_id: 1}


def test_absence_is_no_proof_before_its_time(simulator):
    """The call arrived and its answer was lost; the provider's log lags, and does not know of it yet."""
    simulator.set_faults(refuse_repeated=0, accept_reset=1.0, log_lag=60)
    make_campaign(count=2)
    expand_ready()
    call = opened()
    record.record(submit.make_call(call))
    assert statuses() == {"unknown": 2}
    attempt = Attempt.objects.get()
    asked = replace(reconciliation.ask(attempt), at=attempt.finished_at + timedelta(seconds=0.15))
    assert (asked.answer.conclusive, asked.answer.reports) == (True, [])
    reconciliation.record(asked)
    assert statuses() == {"unknown": 2}
    assert set(Counter(simulator.accepted_ids()).values()) == {1}


def test_a_stale_look_up_proves_nothing(simulator):
    """A worker is frozen between the provider's 'not here' and its transaction; meanwhile the messages went out."""
    simulator.set_faults(refuse_repeated=0)
    make_campaign(count=2)
    expand_ready()
    attempt = lose(opened())
    stale = replace(reconciliation.ask(attempt), answer=ABSENT)
    Attempt.objects.filter(pk=attempt.pk).update(next_lookup_at=timezone.now())
    reconciliation.reconcile()
    again = opened()
    submit.make_call(again)
    lose(again)
    assert reconciliation.record(stale) is False
    assert statuses() == {"unknown": 2}
    assert max(Counter(simulator.accepted_ids()).values()) == 1


def test_a_worker_that_wakes_up_late_makes_nothing_unknown_again(simulator):
    make_campaign(count=2)
    expand_ready()
    late = opened()
    overdue()
    attempt = Attempt.objects.get()
    assert attempt.state == AttemptState.UNKNOWN
    Attempt.objects.update(finished_at=timezone.now() - timedelta(minutes=5), next_lookup_at=timezone.now())
    reconciliation.reconcile()
    assert statuses() == {"queued": 2}
    record.record(submit.Result(late, error=Unknown("time-out")))
    assert statuses() == {"queued": 2}
    eventually(lambda: statuses() == {"delivered": 2}, run_dry)


def test_one_batch_that_breaks_takes_no_other_with_it(simulator, settings, monkeypatch):
    settings.BATCH_SIZE = 2
    settings.MAX_LEASES = 2
    campaign = make_campaign(count=8)
    expand_ready()
    bad = Batch.objects.order_by("id")[0].pk
    real = prepare.open_attempts

    def open_attempts(batches):
        if bad in [batch.pk for batch in batches]:
            raise RuntimeError("a defect of ours")
        return real(batches)

    monkeypatch.setattr(dispatch, "open_attempts", open_attempts)
    for _ in range(3):
        send()
        overdue()
    assert statuses() == {"sent": 6, "failed": 2}
    assert {message.reason for message in Message.objects.filter(status=S.FAILED)} == {Reason.POISON}
    assert_counted(campaign)


def test_a_batch_under_suspicion_is_leased_alone(settings):
    settings.BATCH_SIZE = 1
    make_campaign(count=3)
    expand_ready()
    Batch.objects.filter(part=1).update(lease_count=1)
    assert [batch.part for batch in leases.lease(Lane.CAMPAIGNS, 3)] == [1]
    assert [batch.part for batch in leases.lease(Lane.CAMPAIGNS, 3)] == [0, 2]


def test_an_answer_that_cannot_be_written_loses_no_other(simulator, settings, monkeypatch):
    settings.BATCH_SIZE = 2
    make_campaign(count=6)
    expand_ready()
    bad = Batch.objects.order_by("id")[0].pk
    real = record.record_answers

    def record_answers(results):
        if bad in [result.call.batch.pk for result in results]:
            raise RuntimeError("a defect of ours")
        return real(results)

    monkeypatch.setattr(record, "record_answers", record_answers)
    send()
    assert statuses() == {"sent": 4, "queued": 2}


def test_a_refusal_of_our_account_fails_no_message_by_whichever_road(simulator):
    campaign = make_campaign(count=2)
    expand_ready()
    attempt = lose(opened())
    ids = [message.message_id for message in Message.objects.order_by("id")]
    refused = [Report(i, S.REJECTED, account_refused=True, provider_status="NO_CREDIT") for i in ids]
    settlement.apply(settlement.facts_from(refused, FactSource.PUSH)[0])
    late_refusals.apply_late_refusals(refused)
    assert statuses() == {"unknown": 2}
    asked = replace(reconciliation.ask(attempt), answer=Lookup(reports=refused, conclusive=True))
    assert reconciliation.record(asked) is True
    campaign.refresh_from_db()
    assert statuses() == {"queued": 2}
    assert (campaign.status, "NO_CREDIT" in campaign.status_detail) == (CampaignStatus.PAUSED, True)
    assert_counted(campaign)


def test_a_provider_that_refuses_our_account_after_taking_the_message(django_capture_on_commit_callbacks):
    campaign = make_campaign(count=3)
    expand_ready()
    first = Message.objects.order_by("id")[0]
    settlement.apply(settlement.facts_from([Report(first.message_id, S.SENT)], FactSource.ANSWER)[0])
    refused = Report(first.message_id, S.REJECTED, account_refused=True, provider_status="NO_CREDIT")
    with django_capture_on_commit_callbacks(execute=True):
        late_refusals.apply_late_refusals([refused])
    campaign.refresh_from_db()
    assert statuses() == {"undelivered": 1, "queued": 2}
    assert campaign.status == CampaignStatus.PAUSED


def test_a_refusal_of_an_earlier_call_says_nothing_of_a_message_that_a_later_call_handed_over(simulator):
    """Call 1 is unknown, refused for the account's sake by its log; call 2 is taken; then call 1's report comes in."""
    campaign = make_campaign(count=1)
    expand_ready()
    attempt = lose(opened())
    (message,) = Message.objects.all()
    refused = Report(
        message.message_id, S.REJECTED, account_refused=True, provider_status="NO_CREDIT", reference=attempt.reference
    )
    asked = reconciliation.ask(attempt)
    reconciliation.record(replace(asked, answer=Lookup(reports=[refused], conclusive=True)))
    campaign.refresh_from_db()
    campaign_services.resume(campaign, campaign.user)
    send()
    assert statuses() == {"sent": 1}

    late_refusals.apply_late_refusals([refused])
    assert statuses() == {"sent": 1}
    second = Attempt.objects.latest("pk").reference
    late_refusals.apply_late_refusals([refused._replace(reference=second)])
    assert statuses() == {"undelivered": 1}


def test_an_id_that_the_provider_knew_already_is_taken_and_confirmed_by_an_early_look_up(simulator):
    """Our first call arrived though its log did not show it in time: the second is refused with status 23."""
    make_campaign(count=2)
    expand_ready()
    attempt = lose(opened())
    make_call_arrive = Submission(attempt.reference, opened_messages(), "")
    simulator.gateway().submit(make_call_arrive)
    asked = reconciliation.ask(attempt)
    reconciliation.record(replace(asked, answer=ABSENT))
    assert statuses() == {"queued": 2}

    send()
    batch = Batch.objects.get()
    assert simulator.ledger()["repeats"] == 2
    assert statuses() == {"sent": 2}
    assert batch.report_check_at < timezone.now() + timedelta(seconds=60)
    assert max(message["times_accepted"] for message in simulator.messages()) == 1


def opened_messages() -> list[OutgoingMessage]:
    return [
        OutgoingMessage(message.message_id, message.phone_number, message.text)
        for message in Message.objects.order_by("id")
    ]


def test_a_silent_batch_is_looked_up_once_its_reports_are_late(simulator):
    make_campaign(count=2)
    expand_ready()
    send()
    batch = Batch.objects.get()
    assert batch.report_check_at is not None
    assert timedelta(seconds=600) < batch.report_check_at - timezone.now() < timedelta(seconds=900)


def test_a_gateway_that_is_no_longer_configured_stops_no_sweep(simulator):
    make_campaign(count=2)
    expand_ready()
    opened()
    Attempt.objects.update(gateway="gone")
    cancelled = make_campaign(count=2)
    expand_ready()
    campaign_services.cancel(cancelled, cancelled.user)
    overdue()
    assert statuses() == {"unknown": 2, "cancelled": 2}
    Attempt.objects.update(next_lookup_at=timezone.now())
    assert reconciliation.reconcile() == 0
    assert statuses() == {"unknown": 2, "cancelled": 2}


def test_a_provider_that_will_not_tell_uses_up_no_step(simulator):
    make_campaign(count=2)
    expand_ready()
    attempt = lose(opened())
    simulator.set_faults(log_outage=1.0)
    assert reconciliation.reconcile() == 0
    attempt.refresh_from_db()
    assert (attempt.lookup_count, attempt.state) == (0, AttemptState.UNKNOWN)
    assert attempt.next_lookup_at > timezone.now()


def test_a_campaign_that_cannot_be_read_is_paused_and_stops_no_other():
    broken = make_campaign(count=2)
    AudienceChunk.objects.filter(audience=broken.audience).update(body=b"garbage")
    fine = make_campaign(count=2)
    assert expand_ready() == 1
    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.status, broken.pause_reason) == (CampaignStatus.PAUSED, "defect")
    assert fine.queued == 2


def test_a_cancelled_campaign_is_not_expanded():
    campaign = make_campaign(count=2)
    campaign_services.cancel(campaign, campaign.user)
    assert expand_chunk(campaign, 0) is False
    assert not Message.objects.exists()


def test_no_call_begins_for_an_account_on_hold(simulator):
    campaign = make_campaign(count=2)
    expand_ready()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    Account.objects.filter(pk=campaign.account_id).update(is_active=False)
    assert opened_of(batch) is None
    assert send() == 0


def test_cancel_closes_what_is_queued_beside_an_unknown_outcome(simulator):
    simulator.set_faults(omit_ids=0.5)
    campaign = make_campaign(count=20)
    expand_ready()
    call = opened()
    answer = submit.make_call(call).answer
    kept = [report._replace(account_refused=n < 3) for n, report in enumerate(answer.verdicts.values())]
    record.record(submit.Result(call, answer=SubmitAnswer(200, kept)))
    campaign.refresh_from_db()
    assert Batch.objects.get().state == BatchState.READY
    campaign_services.cancel(campaign, campaign.user)
    sweeps.sweep()
    assert statuses()["cancelled"] == 3
    assert statuses()["queued"] == 0
    assert_counted(campaign)


def test_a_forgotten_paused_campaign_moves_nobody_back(settings):
    settings.BATCH_SIZE = 1
    paused = make_campaign(count=5)
    expand_ready()
    campaign_services.pause(paused, paused.user)
    own = make_campaign(paused.account, count=1)
    expand_ready()
    assert Batch.objects.get(campaign=own).turn == 0


def test_many_throttled_calls_in_a_row_do_not_overflow(simulator):
    make_campaign(count=1)
    expand_ready()
    Batch.objects.update(retry_count=1000)
    record.record(submit.Result(opened(), error=NotSent("too fast", 429, throttled=True, retry_after=1)))
    assert Batch.objects.get().retry_count == 1000


def test_reports_of_many_single_sends_are_applied_some_at_a_time(simulator, monkeypatch):
    monkeypatch.setattr(report_inbox, "REPORTS_AT_ONCE", 2)
    monkeypatch.setattr(report_inbox, "POLL_LIMIT", 2)
    make_campaign(count=5)
    expand_ready()
    send()
    eventually(lambda: report_inbox.ReportInbox.objects.count() >= 3, report_inbox.poll)
    assert report_inbox._apply_some() in (1, 2)


def test_the_next_turn_is_found_without_reading_every_batch(django_assert_num_queries):
    campaign = make_campaign(count=1)
    with django_assert_num_queries(1):
        next_turn(campaign.account_id, Lane.CAMPAIGNS)
