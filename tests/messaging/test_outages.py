"""What an outage of the database, a long absence or a log that says little may not cost."""

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns.models import Campaign
from messaging.choices import AttemptState, BatchState, Lane, MessageStatus, Reason
from messaging.gateways.base import Lookup, NotSent, Report, SubmitAnswer, Unknown
from messaging.gateways.infobip import Infobip
from messaging.gateways.registry import reset as reset_gateways
from messaging.gateways.transport import Response
from messaging.models import Attempt, Batch, Message
from messaging.outcomes import reconciliation
from messaging.restore import detection, release
from messaging.sending import dispatch, prepare, record, submit
from messaging.sending.expansion import expand_ready
from tests.support.factories import AccountFactory, make_campaign
from tests.support.pipeline.rounds import statuses
from tests.support.pipeline.steps import opened, overdue

pytestmark = pytest.mark.django_db
S = MessageStatus
ABSENT = Lookup(conclusive=True)


def refuse_after(seconds):
    """A gateway whose answer, for certain not sent, takes so long."""

    def refuse(self, submission):
        time.sleep(seconds)
        raise NotSent("The provider cannot be reached.")

    return refuse


def test_what_the_log_has_forgotten_is_not_sent_again(simulator, monkeypatch):
    """The provider has the messages, the process died, and the machine was off until the log was over."""
    simulator.set_faults(refuse_repeated=0)
    make_campaign(count=2)
    expand_ready()
    submit.make_call(opened())
    overdue()
    long_ago = timezone.now() - timedelta(hours=60)
    Attempt.objects.update(finished_at=long_ago, deadline=long_ago, next_lookup_at=timezone.now())
    monkeypatch.setattr(Infobip, "look_up", lambda self, reference: ABSENT)
    reconciliation.reconcile()
    assert statuses() == {"unconfirmed": 2}
    dispatch.dispatch_ready(Lane.CAMPAIGNS, 2)
    assert set(Counter(simulator.accepted_ids()).values()) == {1}


def test_an_attempt_that_was_committed_without_our_being_told_is_closed(simulator, monkeypatch):
    make_campaign(count=2)
    expand_ready()
    really_open, cuts = prepare._open, []

    def open_and_cut(batches, gateway, grants):
        calls = really_open(batches, gateway, grants)
        if not cuts:
            cuts.append(calls)
            raise OperationalError("the connection was lost in the commit")
        return calls

    monkeypatch.setattr(prepare, "_open", open_and_cut)
    monkeypatch.setattr(
        "smsapp.core.isolation.close_old_connections", lambda: None
    )  # this test's transaction is its own
    dispatch.dispatch_ready(Lane.CAMPAIGNS, 2)
    assert statuses() == {"sent": 2}
    states = Attempt.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == [AttemptState.NOT_SENT, AttemptState.ANSWERED]


def test_an_answer_is_kept_while_the_database_is_away(simulator, monkeypatch):
    make_campaign(count=3)
    expand_ready()
    monkeypatch.setattr(Infobip, "submit", refuse_after(0))
    monkeypatch.setattr("smsapp.core.isolation.close_old_connections", lambda: None)
    really_record, back = record.record, time.monotonic() + 1.5

    def record_later(result):
        if time.monotonic() < back:
            raise OperationalError("connection refused")
        return really_record(result)

    monkeypatch.setattr(record, "record", record_later)
    dispatch.dispatch_ready(Lane.CAMPAIGNS, 0.5)
    overdue()
    assert statuses() == {"queued": 3}
    assert set(Attempt.objects.values_list("state", flat=True)) == {AttemptState.NOT_SENT}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_cut_connection_costs_no_answer_of_the_calls_under_way(simulator, settings, monkeypatch):
    settings.BATCH_SIZE = 1
    settings.GATEWAY_TIMEOUT = 15.0
    make_campaign(count=3)
    expand_ready()
    own, at = connection.connection.info.backend_pid, connection.settings_dict

    def cut():
        time.sleep(0.3)
        address = {"dbname": at["NAME"], "user": at["USER"], "host": at["HOST"], "port": at["PORT"]}
        with psycopg.connect(**address, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [own])

    monkeypatch.setattr(Infobip, "submit", refuse_after(1.5))
    thread = threading.Thread(target=cut)
    thread.start()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, 4)
    thread.join()
    overdue()
    assert statuses() == {"queued": 3}


def test_a_suspect_shares_its_worker_with_no_other_call(simulator, settings, monkeypatch):
    settings.BATCH_SIZE = 1
    settings.GATEWAY_TIMEOUT = 15
    make_campaign(count=3)
    expand_ready()
    suspect = Batch.objects.order_by("id").last()
    soon = timezone.now() + timedelta(seconds=0.15)
    Batch.objects.filter(pk=suspect.pk).update(lease_count=3, next_attempt_at=soon)
    under_way: list[int] = []
    beside_suspect: list[int] = []

    def refuse(self, submission):
        under_way.append(1)
        if submission.reference.split("-")[1] == str(suspect.pk):
            beside_suspect.append(len(under_way))
        time.sleep(0.3)  # less than SLOW_AFTER: a slow call keeps nobody waiting
        under_way.pop()
        return SubmitAnswer(200, [Report(message.message_id, S.SENT) for message in submission.messages])

    monkeypatch.setattr(Infobip, "submit", refuse)
    dispatch.dispatch_ready(Lane.CAMPAIGNS, 5)
    assert beside_suspect == [1]
    assert statuses() == {"sent": 3}


def test_a_batch_whose_worker_dies_before_each_of_its_calls_stops(simulator, settings):
    """Nothing ever leaves, so the provider's log says each time that it may be sent again."""
    settings.MAX_LEASES = 3
    make_campaign(count=2)
    expand_ready()
    for _ in range(settings.MAX_LEASES):
        assert statuses() == {"queued": 2}
        opened()
        overdue()
        long_ago = timezone.now() - timedelta(minutes=5)
        Attempt.objects.filter(state=AttemptState.UNKNOWN).update(finished_at=long_ago, next_lookup_at=long_ago)
        reconciliation.reconcile()
    assert statuses() == {"failed": 2}
    assert set(Message.objects.values_list("reason", flat=True)) == {Reason.POISON}


def test_a_small_campaign_is_expanded_beside_a_large_one(settings):
    settings.CHUNK_SIZE = settings.BATCH_SIZE = 50
    settings.TASK_BUDGET = 0.01
    large = make_campaign(count=2000)
    small = make_campaign(account=AccountFactory(), count=3)
    while not Campaign.objects.get(pk=small.pk).chunks_done:
        expand_ready()
    large.refresh_from_db()
    assert large.chunks_done < large.chunk_count


def test_a_call_is_looked_up_shortly_before_the_log_ends_and_closed_when_it_has_ended(simulator, settings, monkeypatch):
    settings.SIMULATOR_UNKNOWN_GRACE = 300.0
    settings.SIMULATOR_RESEND_UNKNOWN_AFTER = None
    reset_gateways()
    make_campaign(count=1)
    expand_ready()
    record.record(submit.Result(opened(), error=Unknown("lost")))
    attempt = Attempt.objects.get()
    ended = attempt.finished_at
    monkeypatch.setattr(Infobip, "look_up", lambda self, reference: ABSENT)
    hours = []
    while attempt.state == AttemptState.UNKNOWN:
        at = attempt.next_lookup_at
        monkeypatch.setattr("smsapp.core.clock.now", lambda at=at: at)
        hours.append((at - ended).total_seconds() / 3600)
        reconciliation.record(reconciliation.ask(attempt))
        attempt.refresh_from_db()
    assert [round(hour, 2) for hour in hours[-2:]] == [46.06, 47.0]
    assert statuses() == {"unconfirmed": 1}


def test_entries_of_the_log_that_cannot_be_read_prove_no_absence(simulator, monkeypatch):
    gateway = simulator.gateway()
    body = b'{"results":[{"message_id":"renamed","status":{"groupId":3}}]}'
    monkeypatch.setattr(gateway._transport, "get", lambda *args, **kwargs: Response(200, {}, body))
    assert not gateway.look_up("any").conclusive


def test_release_asks_about_every_row_though_the_first_ones_never_left(simulator, settings):
    """In the time that the backup has forgotten the first rows were refused one by one, and the rest was taken."""
    settings.RELEASE_LOOKUPS_PER_MINUTE = 100_000
    simulator.set_faults(refuse_repeated=0)
    make_campaign(count=200)
    expand_ready()
    detection.watch()
    call = opened()
    submit.make_call(replace(call, submission=replace(call.submission, messages=call.submission.messages[95:])))
    Attempt.objects.all().delete()
    Batch.objects.update(state=BatchState.READY, lease_owner="", lease_until=None, lease_epoch=0, lease_count=0)
    sending_hold.hold("copy", "smsapp", kind=HoldKind.COPY, at=timezone.now() - timedelta(seconds=30))
    release.request("operator")
    while release.take_step() is not None:
        pass
    dispatch.dispatch_ready(Lane.CAMPAIGNS, 3)
    assert set(Counter(simulator.accepted_ids()).values()) == {1}
    assert len(simulator.accepted_ids()) == 200


@pytest.mark.postgresql
def test_a_full_disk_that_the_server_calls_internal_pauses_no_campaign(monkeypatch):
    campaign = make_campaign(count=2)

    def full(*args):
        connection.cursor().execute(
            "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: File too large' USING ERRCODE = 'XX000'; END $$"
        )

    monkeypatch.setattr("messaging.storage.message_rows.insert_messages", full)
    expand_ready()
    campaign.refresh_from_db()
    assert campaign.status == "running"
    monkeypatch.undo()
    expand_ready()
    assert statuses() == {"queued": 2}
