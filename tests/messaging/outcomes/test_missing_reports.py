"""A delivery report that got lost is found in the provider's log, long before its deadline."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.choices import CampaignStatus
from messaging.choices import AttemptState, FactSource, Lane, MessageStatus, Reason
from messaging.gateways.base import MAX_IDS, Lookup, Report
from messaging.models import Attempt, Batch, DeliveryReport, Message
from messaging.outcomes import lookups, missing_reports, reconciliation, report_inbox, settlement
from messaging.outcomes.lookups import Allowance
from messaging.sending import leases, record, submit
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps
from tests.support.factories import AccountFactory, make_campaign
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import opened_of
from tests.support.servers.gateways import hanging
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db
S = MessageStatus
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SILENT = "+4915112999910"  # the simulator takes it and never knows an outcome


def sent(simulator, count=3, **options):
    """A campaign whose messages are all sent, and whose reports were handed out to nobody."""
    simulator.set_faults(report_never=1.0)
    campaign = make_campaign(count=count, **options)
    expand_ready()
    send()
    simulator.set_faults()
    return campaign


def opened_first() -> submit.Call:
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    return opened_of(batch)


def check_now() -> int:
    """Time has passed until every batch is due."""
    Batch.objects.update(report_check_at=timezone.now() - timedelta(seconds=1))
    return reconciliation.reconcile()


def log_reads(simulator) -> int:
    return len(simulator.simulator._log_reads)


def too_large_to_be_asked_about_together() -> None:
    Attempt.objects.update(message_count=MAX_IDS + 1)


def test_a_report_that_got_lost_is_found_in_the_log(simulator, settings):
    settings.REPORT_CHECK_AFTER = 0.05
    campaign = sent(simulator)
    assert Batch.objects.get().report_check_at is not None
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert set(DeliveryReport.objects.values_list("source", flat=True)) == {FactSource.LOOKUP}
    assert Batch.objects.get().report_deadline > timezone.now()
    assert_counted(campaign)


def test_a_silent_message_is_closed_by_its_deadline_and_not_by_the_log(simulator, settings):
    settings.REPORT_CHECK_AFTER = 0.01
    account = AccountFactory()
    campaign = make_campaign(account, audience=audience_from_numbers(account, [(1, SILENT)]))
    settings.REPORT_DEADLINE_HOURS = 1 / 3600
    expand_ready()
    send()
    assert check_now() == 0
    assert Message.objects.get(campaign=campaign).status == S.SENT
    eventually(lambda: Message.objects.get(campaign=campaign).status == S.UNCONFIRMED, run_dry)
    assert Message.objects.get(campaign=campaign).reason == Reason.NO_REPORT
    assert_counted(campaign)


@pytest.mark.parametrize(
    ("age", "following"),
    [
        (5 * MINUTE, 15 * MINUTE),
        (15 * MINUTE, HOUR),
        (3 * HOUR, 4 * HOUR),
        (5 * HOUR, 12 * HOUR),
        (13 * HOUR, 24 * HOUR),
        (30 * HOUR, 46 * HOUR),
        (46 * HOUR, 47 * HOUR),
    ],
)
def test_steps_are_counted_from_the_call_and_end_with_the_log(simulator, age, following):
    sent(simulator, 1)
    ended = timezone.now() - age
    Attempt.objects.update(finished_at=ended)
    missing_reports.record(Attempt.objects.get(), Lookup(conclusive=True))
    assert Attempt.objects.get().next_lookup_at == ended + following


def test_nobody_is_asked_when_the_log_is_over(simulator):
    sent(simulator, 1)
    Attempt.objects.update(finished_at=timezone.now() - 48 * HOUR)
    check_now()
    assert (log_reads(simulator), Batch.objects.get().report_check_at) == (0, None)
    assert statuses() == {"sent": 1}


def test_a_provider_that_will_not_tell_uses_up_no_step(simulator, settings):
    settings.BATCH_SIZE = 1
    sent(simulator, 3)
    simulator.set_faults(log_outage=1.0)
    check_now()
    assert log_reads(simulator) == 1, "it is left alone for the rest of the pass"
    assert set(Batch.objects.values_list("report_check_count", flat=True)) == {0}
    assert set(Attempt.objects.values_list("lookup_count", flat=True)) == {0}
    simulator.set_faults()
    eventually(lambda: statuses() == {"delivered": 3}, check_now)


def test_unknown_outcomes_come_first_and_share_the_allowance(simulator, settings, monkeypatch):
    monkeypatch.setattr(lookups, "per_task", lambda gateway: 1)
    settings.SIMULATOR_UNKNOWN_GRACE = 60.0
    sent(simulator, 1)
    simulator.set_faults(accept_reset=1.0)
    settings.BATCH_SIZE = 1
    make_campaign(count=2)
    expand_ready()
    send()
    simulator.set_faults()
    Attempt.objects.filter(state=AttemptState.UNKNOWN).update(next_lookup_at=timezone.now())
    check_now()
    assert not Attempt.objects.filter(state=AttemptState.UNKNOWN).exists()
    assert (log_reads(simulator), statuses()) == (1, {"sent": 1, "delivered": 2})
    check_now()
    assert (log_reads(simulator), statuses()) == (2, {"delivered": 3})


def test_the_oldest_wait_is_ended_first(simulator, settings, monkeypatch):
    monkeypatch.setattr(lookups, "per_task", lambda gateway: 1)
    settings.BATCH_SIZE = 1
    sent(simulator, 3)
    too_large_to_be_asked_about_together()
    for place, batch in enumerate(Batch.objects.order_by("-pk")):
        Batch.objects.filter(pk=batch.pk).update(report_check_at=timezone.now() - HOUR + place * MINUTE)
    reconciliation.reconcile()
    assert Message.objects.get(status=S.DELIVERED).batch_id == Batch.objects.latest("pk").pk


def sent_in_calls_of_one(simulator) -> None:
    """Three messages of one batch, which the log knows as under way for ever."""
    simulator.set_faults(report_never=1.0)
    account = AccountFactory()
    silent = [(row, f"+491511{row}{SILENT[-6:]}") for row in (2, 3, 4)]
    make_campaign(account, audience=audience_from_numbers(account, silent))
    expand_ready()
    for _ in silent:
        Batch.objects.update(call_size=1)
        record.record(submit.make_call(opened_first()))
    simulator.set_faults()
    assert set(statuses()) == {"sent"}
    assert set(Attempt.objects.values_list("message_count", flat=True)) == {1}


def test_calls_beyond_the_allowance_follow_and_none_is_asked_twice(simulator, monkeypatch):
    monkeypatch.setattr(lookups, "per_task", lambda gateway: 2)
    sent_in_calls_of_one(simulator)
    too_large_to_be_asked_about_together()
    check_now()
    assert log_reads(simulator) == 2
    reconciliation.reconcile()
    assert log_reads(simulator) == 3
    check_now()
    assert log_reads(simulator) == 3, "each has a step of its own, which is not yet due"
    assert Batch.objects.get().report_check_at > timezone.now() + 14 * MINUTE


def test_ninety_silent_single_sends_cost_one_look_up(simulator, settings):
    settings.BATCH_SIZE = 1
    sent(simulator, 90)
    assert Attempt.objects.count() == 90
    simulator.set_faults(log_limit=1)
    check_now()
    assert (log_reads(simulator), statuses()) == (1, {"delivered": 90})
    assert set(Batch.objects.values_list("report_check_count", "report_check_at")) == {(1, None)}
    assert set(Attempt.objects.values_list("lookup_count", flat=True)) == {1}


def test_silent_calls_of_all_batches_share_a_question_and_are_not_asked_about_again(simulator, settings):
    sent_in_calls_of_one(simulator)
    sent_in_calls_of_one(simulator)
    check_now()
    check_now()
    assert log_reads(simulator) == 1
    assert set(Attempt.objects.values_list("lookup_count", flat=True)) == {1}
    assert all(at > timezone.now() + 14 * MINUTE for at in Batch.objects.values_list("report_check_at", flat=True))


def test_a_common_question_that_breaks_is_asked_call_by_call_within_the_allowance(simulator, settings, monkeypatch):
    def break_down(*arguments):
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(lookups, "per_task", lambda gateway: 3)
    monkeypatch.setattr(lookups, "look_up_together", break_down)
    settings.BATCH_SIZE = 1
    sent(simulator, 4)
    check_now()
    assert statuses() == {"sent": 2, "delivered": 2}
    assert all(at > timezone.now() for at in Batch.objects.filter(sent=1).values_list("report_check_at", flat=True))
    eventually(lambda: statuses() == {"delivered": 4}, check_now)


def test_calls_of_a_batch_that_was_moved_are_asked_about_where_they_went(simulator, settings):
    """The gateway that it left does not answer any more."""
    settings.GATEWAY_TIMEOUT, settings.TASK_BUDGET = 0.3, 0.2
    sent_in_calls_of_one(simulator)
    with ExitStack() as stack:
        server = hanging(stack, "left")
        _, second, _ = Attempt.objects.order_by("pk")
        Attempt.objects.filter(pk=second.pk).update(gateway="left")
        eventually(lambda: log_reads(simulator) == 1, check_now)
        assert len(server.requests) == 1
        assert set(Attempt.objects.values_list("gateway", "lookup_count")) == {("left", 0), ("simulator", 1)}


def test_asking_all_anew_takes_a_few_calls_at_a_time(simulator, settings, monkeypatch):
    """Also those of a batch that is due already; none without silent messages."""
    monkeypatch.setattr(missing_reports, "AT_ONCE", 2)
    sent_in_calls_of_one(simulator)
    Batch.objects.update(report_check_at=timezone.now() - MINUTE)
    settings.BATCH_SIZE = 1
    sent(simulator, 4)
    done = Batch.objects.latest("pk")
    Batch.objects.filter(pk=done.pk).update(sent=0, delivered=1)
    Attempt.objects.update(next_lookup_at=timezone.now() + HOUR)
    with CaptureQueriesContext(connection) as queries:
        missing_reports.recheck_all()
    assert list(Attempt.objects.exclude(next_lookup_at=None).values_list("batch_id", flat=True)) == [done.pk]
    assert not Batch.objects.filter(sent__gt=0, report_check_at__gt=timezone.now()).exists()
    updates = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "messaging_attempt"')]
    assert [sql.count(",") for sql in updates] == [1, 1, 1], "two calls each"


def breaks_for_the_first_call(monkeypatch) -> Attempt:
    bad = Attempt.objects.earliest("pk")
    real = missing_reports.record

    def record_apart(attempt, answer):
        if attempt.pk == bad.pk:
            raise RuntimeError("a defect of ours")
        return real(attempt, answer)

    monkeypatch.setattr(missing_reports, "record", record_apart)
    return bad


def test_a_batch_that_breaks_stops_no_other(simulator, settings, monkeypatch):
    settings.BATCH_SIZE = 1
    sent(simulator, 3)
    bad = breaks_for_the_first_call(monkeypatch)
    check_now()
    assert statuses() == {"sent": 1, "delivered": 2}
    assert Batch.objects.get(pk=bad.batch_id).report_check_at > timezone.now(), "it waits before it is tried again"


def test_a_call_that_breaks_stops_no_other_of_its_batch(simulator, monkeypatch):
    sent_in_calls_of_one(simulator)
    bad = breaks_for_the_first_call(monkeypatch)
    check_now()
    assert set(Attempt.objects.filter(lookup_count=1)) == set(Attempt.objects.exclude(pk=bad.pk))


def test_one_worker_checks_a_batch(simulator, monkeypatch):
    """The second read the batch when it was due, and comes while the first waits for the provider."""
    sent(simulator, 1)
    Batch.objects.update(report_check_at=timezone.now() - MINUTE)
    first, second = Batch.objects.get(), Batch.objects.get()
    real = Allowance.look_up

    def look_up(allowance, attempts, status):
        monkeypatch.setattr(Allowance, "look_up", real)
        assert missing_reports.claim(second) is None
        return real(allowance, attempts, status)

    monkeypatch.setattr(Allowance, "look_up", look_up)
    assert missing_reports.check([missing_reports.claim(first)], Allowance()) == 1
    assert log_reads(simulator) == 1


def test_a_plan_made_meanwhile_is_kept(simulator, monkeypatch):
    """A call that ends while the batch is checked may ask for the next check sooner."""
    sent(simulator, 1)
    soon = timezone.now() + timedelta(seconds=3)
    real = missing_reports.record

    def record_apart(attempt, answer):
        Batch.objects.update(report_check_at=soon)
        return real(attempt, Lookup(conclusive=True))

    monkeypatch.setattr(missing_reports, "record", record_apart)
    check_now()
    assert Batch.objects.get().report_check_at == soon


def test_a_plan_is_never_made_later(simulator):
    sent(simulator, 1)
    batch = Batch.objects.get()
    missing_reports.plan(batch.pk, batch.report_check_at + HOUR)
    assert Batch.objects.get().report_check_at == batch.report_check_at
    missing_reports.plan(batch.pk, batch.report_check_at - MINUTE)
    assert Batch.objects.get().report_check_at == batch.report_check_at - MINUTE


def test_a_message_that_a_look_up_showed_to_be_sent_is_looked_up_again(simulator):
    simulator.set_faults(accept_reset=1.0, report_never=1.0)
    make_campaign(count=2)
    expand_ready()
    send()
    simulator.set_faults()
    attempt = Attempt.objects.get()
    told = [Report(message.message_id, S.SENT) for message in Message.objects.all()]
    Attempt.objects.update(next_lookup_at=timezone.now())
    attempt.refresh_from_db()
    asked = reconciliation.ask(attempt)
    reconciliation.record(reconciliation.Answered(asked.attempt, asked.at, Lookup(told, conclusive=True)))
    assert statuses() == {"sent": 2}
    assert Batch.objects.get().report_check_at is not None
    check_now()
    assert statuses() == {"delivered": 2}


def test_a_repeated_id_is_confirmed_by_the_call_that_carried_it_first(simulator, settings):
    """The log lags longer than it was said to: what looked absent was sent again, and refused as known (status 23)."""
    settings.SIMULATOR_UNKNOWN_GRACE = 0.05
    simulator.set_faults(accept_reset=1.0, report_never=1.0, log_lag=60)
    campaign = make_campaign(count=2)
    expand_ready()
    send()
    simulator.set_faults(report_never=1.0, log_lag=60)
    eventually(lambda: Attempt.objects.count() == 2, lambda: (reconciliation.reconcile(), send()))
    assert statuses() == {"sent": 2}
    assert sorted(simulator.accepted_ids()) == sorted(message.message_id for message in Message.objects.all())
    assert Batch.objects.get().report_check_at < timezone.now() + timedelta(seconds=30), "confirmed soon"
    simulator.set_faults(log_lag=0)
    eventually(lambda: statuses() == {"delivered": 2}, reconciliation.reconcile)
    assert_counted(campaign)


def test_a_refusal_of_our_account_found_in_the_log_pauses_the_campaign(
    simulator, settings, django_capture_on_commit_callbacks
):
    settings.BATCH_SIZE = 1
    campaign = make_campaign(count=2)
    expand_ready()
    call = opened_first()
    record.record(submit.make_call(call))
    refused = Report(
        call.submission.messages[0].message_id, S.REJECTED, account_refused=True, provider_status="NO_CREDIT"
    )
    with django_capture_on_commit_callbacks(execute=True):
        assert missing_reports.record(Attempt.objects.get(), Lookup([refused], conclusive=True)) == 1
    campaign.refresh_from_db()
    assert statuses() == {"undelivered": 1, "queued": 1}
    assert (campaign.status, "NO_CREDIT" in campaign.status_detail) == (CampaignStatus.PAUSED, True)


def test_a_look_up_says_nothing_of_other_calls(simulator, settings):
    settings.BATCH_SIZE = 1
    sent(simulator, 2)
    one, other = Attempt.objects.order_by("pk")
    stray = Report(Message.objects.get(pk=other.first).message_id, S.DELIVERED)
    assert missing_reports.record(one, Lookup([stray], conclusive=True)) == 0
    assert statuses() == {"sent": 2}


def test_messages_that_are_sent_by_the_providers_word_alone_get_their_times():
    make_campaign(count=2)
    expand_ready()
    reports = [Report(message.message_id, S.SENT) for message in Message.objects.all()]
    settlement.apply(settlement.facts_from(reports, FactSource.PUSH)[0])
    assert Batch.objects.get().report_deadline is None
    sweeps.sweep()
    batch = Batch.objects.get()
    assert batch.report_check_at is not None
    assert batch.report_deadline is not None
    assert sweeps.sweep() == {}


def test_a_poll_whose_process_is_killed_before_the_commit_is_made_good(simulator, settings, monkeypatch):
    """The provider has handed the reports out and will not do so again."""
    settings.REPORT_CHECK_AFTER = 0.05

    class Killed(BaseException):
        pass

    def die(*body):
        raise Killed

    campaign = make_campaign(count=3)
    expand_ready()
    send()
    eventually(lambda: not simulator.ledger()["pending_reports"], lambda: None)
    with monkeypatch.context() as dying:
        dying.setattr(report_inbox, "receive", die)
        with pytest.raises(Killed):
            report_inbox.poll()
    assert report_inbox.poll() == 0, "nothing is left to be polled"
    assert statuses() == {"sent": 3}
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert_counted(campaign)
