"""The hold: exact when it begins, complete while it lasts, over when it is lifted."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Setting
from accounts.security import sending_hold
from accounts.security.sending_hold import HoldKind
from campaigns import tasks as campaign_tasks
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import BatchState, FactSource, Lane, MessageStatus
from messaging.models import Attempt, Batch, Message, ReportInbox
from messaging.outcomes import report_inbox
from messaging.restore import release
from messaging.sending import dispatch, leases
from messaging.sending.expansion import expand_ready
from messaging.storage import message_rows
from smsapp.core import clock
from tests.support.factories import make_campaign
from tests.support.pipeline.steps import opened_of

pytestmark = pytest.mark.django_db

WAIT = 10  # seconds at most for another thread
SHARERS = 8
ATTEMPT = 0.02  # seconds of a transaction; it must outlast the gaps between them
ROUNDS = 5  # of holding and releasing under a stream of attempts


def statuses() -> list[str]:
    return sorted(MessageStatus(status).label for status in Message.objects.values_list("status", flat=True))


@contextmanager
def thread(act: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """`act` on a connection of its own; what it gave is in "result" after the block."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = act()
        except Exception as error:
            outcome["error"] = error
        finally:
            connection.close()

    worker = threading.Thread(target=run)
    worker.start()
    try:
        yield outcome
    finally:
        worker.join(WAIT)
        assert not worker.is_alive()
        assert "error" not in outcome, outcome


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def test_a_hold_says_why_by_whom_and_since_when() -> None:
    assert sending_hold.current() is None
    before = clock.about_now()
    sending_hold.hold("Wrong text in the spring campaign", "anna")
    held = sending_hold.current()
    assert held is not None
    assert (held.reason, held.by, held.kind) == ("Wrong text in the spring campaign", "anna", HoldKind.OPERATOR)
    assert before <= held.since <= clock.about_now()
    assert sending_hold.release(HoldKind.OPERATOR)
    assert not sending_hold.is_held()
    assert not sending_hold.release(HoldKind.OPERATOR)


def test_a_hold_by_hand_does_not_replace_one_on_a_copy_and_gives_way_to_it() -> None:
    sending_hold.hold("by hand", "anna")
    sending_hold.hold("a copy", "smsapp", kind=HoldKind.COPY)
    sending_hold.hold("by hand again", "anna")
    held = sending_hold.current()
    assert held is not None
    assert (held.reason, held.kind) == ("a copy", HoldKind.COPY)
    assert not sending_hold.release(HoldKind.OPERATOR)
    assert sending_hold.is_held()


def test_a_hold_that_cannot_be_read_holds() -> None:
    sending_hold.HOLD.make_row()
    Setting.objects.filter(key=sending_hold.KEY).update(value="{broken")
    assert sending_hold.is_held()
    assert sending_hold.current() is not None


def test_a_batch_leased_before_the_hold_is_given_back_and_sends_after_the_release(simulator) -> None:
    make_campaign(count=3)
    expand_ready()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    sending_hold.hold("stop", "anna")
    assert opened_of(batch) is None
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS) == 0
    assert Batch.objects.get().state == BatchState.READY
    assert (Attempt.objects.count(), simulator.ledger()["posts"]) == (0, 0)
    release.request("anna")
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS) == 1
    assert statuses() == ["sent"] * 3


def test_a_held_installation_churns_no_batches(simulator) -> None:
    make_campaign(count=3)
    expand_ready()
    sending_hold.hold("stop", "anna")
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    assert Batch.objects.get().lease_epoch == 0


def test_while_held_nothing_due_starts_and_nothing_is_polled_but_customers_go_on(simulator) -> None:
    sent = make_campaign(count=1)
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS)
    sending_hold.hold("stop", "anna")
    due = make_campaign(count=1, scheduled_at=timezone.now() + timedelta(minutes=5))
    Campaign.objects.filter(pk=due.pk).update(scheduled_at=timezone.now() - timedelta(minutes=1))
    assert campaign_tasks.start_due() == 0
    assert report_inbox.poll() == 0
    assert Campaign.objects.get(pk=due.pk).status == CampaignStatus.SCHEDULED
    pushed = simulator.gateway().poll_reports(1000)  # what would be pushed
    report_inbox.receive("simulator", FactSource.PUSH, pushed, 1)
    report_inbox.apply_waiting()
    assert Message.objects.get(campaign=sent).status == MessageStatus.DELIVERED
    later = make_campaign(count=2)
    assert expand_ready() == 1
    assert Message.objects.filter(campaign=later).count() == 2
    release.request("anna")
    assert campaign_tasks.start_due() == 1
    assert report_inbox.poll() == 0
    assert ReportInbox.objects.count() == 1


def test_commands_hold_and_release(capsys: pytest.CaptureFixture[str]) -> None:
    make_campaign(count=3)
    expand_ready()
    call_command("hold", "Provider asks us to wait", by="anna")
    assert sending_hold.is_held()
    call_command("release")
    assert not sending_hold.is_held()
    out = capsys.readouterr().out
    assert "Provider asks us to wait" in out
    assert "1 campaigns running, 3 messages queued" in out
    with pytest.raises(CommandError, match="not held"):
        call_command("release")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False], ids=["first attempt ever", "a later one"])
def test_hold_answers_only_when_an_attempt_under_way_is_committed(is_first: bool) -> None:
    campaign = make_campaign(count=1)
    if not is_first:
        sending_hold.HOLD.make_row()
    answered = threading.Event()

    def stop() -> None:
        sending_hold.hold("stop", "anna")
        answered.set()

    with in_transaction(lambda: message_rows.share_running(campaign.pk)) as commit, thread(stop):
        wait_until(waits_for_a_lock)
        assert not answered.is_set()
        commit.set()
        assert answered.wait(WAIT)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_attempt_whose_statement_began_before_the_hold_sees_it() -> None:
    """It waits for a lock on the campaign while the hold comes and answers; its own snapshot is older."""
    campaign = make_campaign(count=1)
    sending_hold.HOLD.make_row()

    def attempt() -> bool:
        with transaction.atomic():
            return message_rows.share_running(campaign.pk)

    with (
        in_transaction(lambda: Campaign.objects.select_for_update().get(pk=campaign.pk)) as commit,
        thread(attempt) as outcome,
    ):
        wait_until(waits_for_a_lock)
        sending_hold.hold("stop", "anna")
        commit.set()
    assert outcome["result"] is False


@contextmanager
def in_transaction(act: Callable[[], Any]) -> Iterator[threading.Event]:
    """`act` was done in a transaction that is open until the event is set."""
    done, commit = threading.Event(), threading.Event()

    def run() -> None:
        with transaction.atomic():
            act()
            done.set()
            commit.wait(WAIT)

    with thread(run):
        assert done.wait(WAIT)
        try:
            yield commit
        finally:
            commit.set()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_after_hold_has_answered_no_attempt_is_committed_however_many_come() -> None:
    """Workers share the row without a gap; the hold gets it all the same, and from its answer on they read it."""
    campaign = make_campaign(count=1)
    end, running = threading.Event(), threading.Barrier(SHARERS + 1)
    seen: list[tuple[float, bool]] = []

    def work() -> None:
        running.wait(WAIT)
        while not end.is_set():
            with transaction.atomic():
                may_send = message_rows.share_running(campaign.pk)
                time.sleep(ATTEMPT)
                seen.append((time.monotonic(), may_send))

    workers = [threading.Thread(target=closing(work)) for _ in range(SHARERS)]
    for worker in workers:
        worker.start()
    running.wait(WAIT)
    held: list[tuple[float, float]] = []
    try:
        for _ in range(ROUNDS):
            wait_until(lambda: bool(seen) and seen[-1][1])
            sending_hold.hold("stop", "anna")
            answered = time.monotonic()
            wait_until(lambda: seen[-1][0] > answered)  # noqa: B023
            held.append((answered, time.monotonic()))
            sending_hold.release(HoldKind.OPERATOR)
    finally:
        end.set()
        for worker in workers:
            worker.join(WAIT)
    wrong = [at for at, may_send in seen for begin, until in held if begin < at < until and may_send]
    assert wrong == []
    assert len(held) == ROUNDS


def closing(act: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    return run


@pytest.mark.django_db
@pytest.mark.parametrize("reason", ["", "  "])
def test_a_hold_without_a_reason_is_refused_and_holds_nothing(reason: str) -> None:
    with pytest.raises(CommandError, match="Say why"):
        call_command("hold", reason)
    assert not sending_hold.is_held()
