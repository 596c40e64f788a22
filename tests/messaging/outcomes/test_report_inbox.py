"""Bodies of delivery reports: none is lost in a crash, and reports that come before their messages find them."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import orjson
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from messaging.choices import FactSource, Lane, MessageStatus
from messaging.gateways.base import NotSent
from messaging.models import Batch, Message, ReportInbox
from messaging.outcomes import report_inbox, settlement
from messaging.sending import record
from messaging.sending.expansion import expand_ready
from messaging.sending.leases import lease
from messaging.sending.submit import Result, make_call
from messaging.simulator.outcomes import NO_CREDIT, PENDING_ENROUTE, TO_HANDSET
from reports.selectors import attention
from tests.support.factories import make_campaign
from tests.support.installed import put_installation_back
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from tests.support.pipeline.steps import opened_of

pytestmark = pytest.mark.django_db
S = MessageStatus
FOREIGN = "zzzzz00000000g4017"
KILLER = """
import os, signal, django
django.setup()
from messaging.outcomes import report_inbox
def die(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)
report_inbox.{victim} = die
report_inbox.{act}()
"""


class Killed(BaseException):
    """The process is gone: no handler of ours runs."""


#: What is called last, by whom: before the commit; after it, before anything is applied; while it is applied.
BREAKS = [("receive", "poll"), ("enqueue", "poll"), ("settlement.apply", "apply_waiting")]


def push(*message_ids: str, status: dict = TO_HANDSET) -> ReportInbox:
    results = [{"messageId": message_id, "status": status} for message_id in message_ids]
    report_inbox.receive("simulator", FactSource.PUSH, orjson.dumps({"results": results}), len(results))
    return ReportInbox.objects.latest("pk")


def ids() -> list[str]:
    return [message.message_id for message in Message.objects.order_by("pk")]


def time_passes() -> None:
    ReportInbox.objects.exclude(rematch_at=None).update(rematch_at=timezone.now() - timedelta(seconds=1))


class Behind:
    """A database that does not know some batches yet."""

    def __init__(self) -> None:
        self.batches, self.messages = list(Batch.objects.all()), list(Message.objects.all())
        Message.objects.all().delete()
        Batch.objects.all().delete()

    def catch_up(self) -> None:
        Batch.objects.bulk_create(self.batches)
        Message.objects.bulk_create(self.messages)


@pytest.fixture
def campaign():
    campaign = make_campaign(count=3)
    expand_ready()
    return campaign


def handed_over(simulator, settings):
    settings.REPORT_CHECK_AFTER = 0.05
    campaign = make_campaign(count=3)
    expand_ready()
    send()
    eventually(lambda: not simulator.ledger()["pending_reports"], lambda: None)
    return campaign


@pytest.mark.parametrize(("victim", "act"), BREAKS)
def test_a_crash_loses_no_report(simulator, settings, monkeypatch, victim, act):
    campaign = handed_over(simulator, settings)
    if act != "poll":
        report_inbox.poll()

    def die(*args, **options):
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(f"messaging.outcomes.report_inbox.{victim}", die)
        with pytest.raises(Killed):
            getattr(report_inbox, act)()
    assert statuses() == {"sent": 3}
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert_counted(campaign)


@pytest.mark.postgresql
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("victim", "act"), BREAKS)
def test_a_killed_process_loses_no_report(simulator, settings, victim, act):
    campaign = handed_over(simulator, settings)
    if act != "poll":
        report_inbox.poll()
    put_installation_back()
    database = connection.settings_dict
    login = f"{database['USER']}:{database['PASSWORD']}" if database["PASSWORD"] else database["USER"]
    environment = {
        "DATABASE_URL": f"postgres://{login}@{database['HOST']}:{database['PORT']}/{database['NAME']}",
        "SIMULATOR_URL": simulator.url,
        "SIMULATOR_API_KEY": simulator.api_key,
        "DJANGO_SETTINGS_MODULE": "smsapp.settings.test",
    }
    killed = subprocess.run(
        [sys.executable, "-c", KILLER.format(victim=victim, act=act)],
        env=os.environ | environment,
        cwd=django_settings.BASE_DIR,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert ReportInbox.objects.count() == (victim != "receive")
    assert statuses() == {"sent": 3}
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    assert_counted(campaign)


def test_reports_that_come_before_their_messages_find_them_within_a_minute(campaign):
    known = ids()
    behind = Behind()
    body = push(*known, FOREIGN)
    report_inbox.apply_waiting()
    body.refresh_from_db()
    assert (body.report_count, body.unmatched_count) == (4, 4)
    assert body.rematch_at < timezone.now() + timedelta(seconds=50)
    time_passes()
    assert report_inbox.rematch() == 0
    body.refresh_from_db()
    assert body.rematch_at > timezone.now()
    behind.catch_up()
    time_passes()
    assert report_inbox.rematch() == 3
    body.refresh_from_db()
    assert (body.unmatched_count, body.rematch_at) == (1, None)
    assert statuses() == {"delivered": 3}
    assert_counted(campaign)


def test_a_body_waits_for_its_last_message(campaign):
    known = ids()
    behind = Behind()
    body = push(*known)
    report_inbox.apply_waiting()
    missing = behind.messages.pop()
    behind.catch_up()
    time_passes()
    assert report_inbox.rematch() == 2
    body.refresh_from_db()
    assert (body.unmatched_count, body.rematch_at is not None) == (1, True)
    missing.save(force_insert=True)
    time_passes()
    assert report_inbox.rematch() == 1
    assert_counted(campaign)


def test_a_refusal_of_our_account_finds_its_message_too(campaign):
    first = ids()[0]
    push(first, status=PENDING_ENROUTE)
    report_inbox.apply_waiting()
    behind = Behind()
    refused = push(first, status=NO_CREDIT)
    report_inbox.apply_waiting()
    refused.refresh_from_db()
    assert (refused.unmatched_count, refused.rematch_at is not None) == (1, True)
    behind.catch_up()
    time_passes()
    report_inbox.rematch()
    refused.refresh_from_db()
    assert (refused.unmatched_count, refused.rematch_at) == (0, None)
    assert statuses() == {"undelivered": 1, "queued": 2}


def test_a_refusal_of_our_account_that_is_quicker_than_the_answer_to_the_call_is_not_lost(
    campaign, simulator, django_capture_on_commit_callbacks
):
    (batch,) = lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    result = make_call(call)
    refused = push(ids()[0], status=NO_CREDIT)
    report_inbox.apply_waiting()
    refused.refresh_from_db()
    assert (statuses(), refused.unmatched_count, refused.rematch_at is not None) == ({"queued": 3}, 1, True)
    time_passes()
    assert report_inbox.rematch() == 0, "the call is not recorded yet"
    record.record(result)
    time_passes()
    with django_capture_on_commit_callbacks(execute=True):
        assert report_inbox.rematch() == 1
    refused.refresh_from_db()
    assert (refused.unmatched_count, refused.rematch_at) == (0, None)
    assert statuses() == {"undelivered": 1, "sent": 2}
    assert_counted(campaign)


def test_a_refusal_of_our_account_for_a_message_that_is_in_no_call_is_let_go(campaign, simulator):
    (batch,) = lease(Lane.CAMPAIGNS, 1)
    call = opened_of(batch)
    record.record(Result(call, error=NotSent("HTTP 429", 429, throttled=True)))
    refused = push(ids()[0], status=NO_CREDIT)
    report_inbox.apply_waiting()
    refused.refresh_from_db()
    assert (statuses(), refused.unmatched_count, refused.rematch_at) == ({"queued": 3}, 0, None)


def test_ids_that_are_not_ours_are_counted_and_not_tried_again():
    body = push(FOREIGN, "anything")
    report_inbox.apply_waiting()
    body.refresh_from_db()
    assert (body.unmatched_count, body.rematch_at, body.applied_at is None) == (2, None, False)


def test_each_body_counts_its_own(campaign):
    known = ids()
    missing = f"{known[0][:5]}{'0' * 11}0"
    bodies = [push(*known), push(known[0], missing, FOREIGN), push(FOREIGN)]
    report_inbox.apply_waiting()
    counts = [(body.unmatched_count, body.rematch_at is not None) for body in ReportInbox.objects.order_by("pk")]
    assert len(bodies) == len(counts)
    assert counts == [(0, False), (2, True), (1, False)]


def test_a_message_that_comes_while_its_report_is_applied_is_not_missed(campaign, monkeypatch):
    known = ids()
    behind = Behind()
    body = push(*known)
    real = settlement.apply
    calls = []

    def apply(facts, **options):
        applied = real(facts, **options)
        if not calls:
            behind.catch_up()
        calls.append(applied)
        return applied

    monkeypatch.setattr(settlement, "apply", apply)
    report_inbox.apply_waiting()
    body.refresh_from_db()
    assert (statuses(), body.unmatched_count) == ({"delivered": 3}, 0)


def test_nothing_is_locked_while_no_message_has_come(campaign, monkeypatch):
    known = ids()
    Behind()
    push(*known)
    report_inbox.apply_waiting()
    time_passes()
    monkeypatch.setattr(settlement, "apply", lambda facts: pytest.fail("nothing is there to be applied to"))
    assert report_inbox.rematch() == 0


def test_the_longest_waiting_are_matched_first_and_so_many_at_once(campaign, monkeypatch, settings):
    monkeypatch.setattr(report_inbox, "BODIES_AT_ONCE", 1)
    settings.TASK_BUDGET = 1e-6
    known = ids()
    behind = Behind()
    older, newer = push(known[0]), push(known[1])
    report_inbox.apply_waiting()
    behind.catch_up()
    ReportInbox.objects.filter(pk=older.pk).update(rematch_at=timezone.now() - timedelta(minutes=1))
    ReportInbox.objects.filter(pk=newer.pk).update(rematch_at=timezone.now() - timedelta(minutes=2))
    report_inbox.rematch()
    assert Message.objects.get(status=S.DELIVERED).message_id == known[1]
    settings.TASK_BUDGET = 60
    assert report_inbox.rematch() == 1


def breaks_for(monkeypatch, message_id: str) -> None:
    real = settlement.apply

    def apply(facts, **options):
        if any(fact.report and fact.report.message_id == message_id for fact in facts):
            raise RuntimeError("a defect of ours")
        return real(facts, **options)

    monkeypatch.setattr(settlement, "apply", apply)


def test_a_body_that_breaks_is_put_off_and_stops_no_other(campaign, monkeypatch):
    known = ids()
    bodies = [push(message_id) for message_id in known]
    breaks_for(monkeypatch, known[1])
    report_inbox.apply_waiting()
    assert statuses() == {"delivered": 2, "queued": 1}
    broken = ReportInbox.objects.get(applied_at=None)
    assert (broken.pk, broken.failure_count, "RuntimeError" in broken.error) == (bodies[1].pk, 1, True)
    assert broken.next_attempt_at > timezone.now()


def test_a_body_that_breaks_when_matched_again_stops_no_other(campaign, monkeypatch):
    known = ids()
    behind = Behind()
    for message_id in known:
        push(message_id)
    report_inbox.apply_waiting()
    behind.catch_up()
    time_passes()
    breaks_for(monkeypatch, known[0])
    assert report_inbox.rematch() == 2


def test_a_gateway_that_is_gone_keeps_its_unmatched_bodies(campaign):
    known = ids()
    Behind()
    body = push(*known)
    report_inbox.apply_waiting()
    ReportInbox.objects.update(gateway="gone")
    time_passes()
    assert report_inbox.rematch() == 0
    body.refresh_from_db()
    assert (body.unmatched_count, body.rematch_at is not None) == (3, True)


def test_an_operator_sees_what_found_no_message(campaign, admin_client):
    known = ids()
    Behind()
    push(*known)
    push(FOREIGN)
    report_inbox.apply_waiting()
    (notice,) = [notice for notice in attention() if notice.query == "applied=unmatched"]
    assert notice.count == 1
    page = admin_client.get(reverse("admin:messaging_reportinbox_changelist"), {"applied": "unmatched"})
    assert page.context["cl"].result_count == 1


def test_what_is_removed_without_ever_finding_its_message_is_said(campaign, caplog, settings):
    known = ids()
    Behind()
    push(*known)
    push(FOREIGN)
    report_inbox.apply_waiting()
    late = timezone.now() + timedelta(hours=settings.REPORT_INBOX_HOURS + 1)
    assert report_inbox.purge(late).removed == 2
    assert "1 report bodies are removed" in caplog.text
