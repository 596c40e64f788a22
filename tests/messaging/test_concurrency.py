"""Everything at once, on real connections: the same result as one after the other.

CHAOS_ROUNDS sets how often a campaign is paused, held and cancelled, CHAOS_CUTS how many connections are cut.
"""

import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from accounts.models import Account
from accounts.suspension import suspend_account
from campaigns import services as campaign_services
from campaigns import tasks as campaign_tasks
from campaigns.choices import CampaignKind, CampaignStatus
from campaigns.models import Campaign
from messaging import tasks
from messaging.choices import AttemptState, BatchState, FactSource, Lane, MessageStatus, Reason
from messaging.gateways.base import NotSent, Report
from messaging.ids import BATCH_SHIFT
from messaging.models import Attempt, Batch, DeliveryReport, Message, StatDelta
from messaging.outcomes import reconciliation, report_inbox, settlement
from messaging.outcomes.settlement import Fact
from messaging.sending import dispatch, leases, record, submit
from messaging.sending.expansion import expand_ready
from messaging.simulator import outcomes
from messaging.upkeep import sweeps
from smsapp.core import isolation
from smsapp.core.exceptions import InvalidState
from tests.support.builders import make_single
from tests.support.factories import make_campaign
from tests.support.fixtures import installed  # noqa: F401
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually
from tests.support.pipeline.steps import opened_of
from tests.support.together import meanwhile, run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

S = MessageStatus
COPIES = 10  # of every task
WORKERS = 8
RECIPIENTS = 40  # of a campaign, in two chunks
CUTS = int(os.environ.get("CHAOS_CUTS", 25))  # of database connections
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", 15))  # of pausing, holding, cancelling
SETTLED_ROWS = 600  # beside them a hundred single sends
SECONDS = 40.0

TASKS: tuple[Callable[[], object], ...] = (
    tasks.expand,
    tasks.dispatch_singles,
    tasks.dispatch_campaigns,
    tasks.apply_reports,
    tasks.poll_reports,
    tasks.reconcile,
    tasks.sweep,
    campaign_tasks.start_due,
)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat alone wakes."""
    monkeypatch.setattr("smsapp.core.enqueue._send", lambda *arguments: None)


@pytest.fixture(autouse=True)
def small_pieces(settings: Any) -> None:
    settings.CHUNK_SIZE, settings.BATCH_SIZE = 20, 5


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)


def is_closed() -> bool:
    return not Campaign.objects.filter(closed_at=None).exists()


def assert_exact(simulator: Any) -> None:
    """Each message was accepted once, ended as the ledger says, and every count equals a recount."""
    rows = dict(Message.objects.values_list("id", "status"))
    assert set(rows.values()) == {S.DELIVERED}
    assert Counter(simulator.accepted_ids()) == Counter(message.message_id for message in Message.objects.all())
    assert Counter(DeliveryReport.objects.values_list("message_id", flat=True)) == dict.fromkeys(rows, 1)
    for campaign in Campaign.objects.all():
        assert_counted(campaign)
        assert campaign.delivered == campaign.total_recipients
        assert campaign.chunks_done == campaign.chunk_count
    assert not Batch.objects.exclude(state=BatchState.DONE).exists()


# --- the same task many times over ------------------------------------------------------------------------


def test_ten_copies_of_every_task_do_the_work_of_one(simulator):
    """Two schedulers that tick, workers that are woken too often, wake-ups that the broker delivers twice."""
    simulator.set_faults(refuse_repeated=0, accept_reset=0.05, reset_before=0.05, omit_ids=0.05)
    for _ in range(3):
        make_campaign(count=RECIPIENTS)
    for _ in range(COPIES):
        make_single()
    due = make_campaign(count=RECIPIENTS), make_single()
    now = timezone.now()
    Campaign.objects.filter(pk__in=[campaign.pk for campaign in due]).update(
        status=CampaignStatus.SCHEDULED, scheduled_at=now, started_at=None
    )
    done: Counter[Any] = Counter()
    counting = threading.Lock()

    def work(share: list[Callable[[], object]]) -> None:
        for task in share:
            result = task()
            with counting:
                done[task] += result if isinstance(result, int) else 0

    copies = list(TASKS) * COPIES
    chance = random.Random(1)

    def round_of_all() -> None:
        chance.shuffle(copies)
        run_together(*(lambda part=part: work(copies[part::WORKERS]) for part in range(WORKERS)))

    eventually(is_closed, round_of_all, SECONDS)
    assert_exact(simulator)
    assert done[campaign_tasks.start_due] == len(due)
    assert done[tasks.expand] == Campaign.objects.filter(kind=CampaignKind.BULK).count() * 2 + COPIES + 1
    assert Message.objects.count() == 4 * RECIPIENTS + COPIES + 1
    assert simulator.ledger()["duplicates"] == 0


# --- one writer of facts ----------------------------------------------------------------------------------


def word(number: int, status: MessageStatus, source: FactSource) -> Fact:
    return Fact(number, status, source, report=Report("", status))


WORDS: tuple[tuple[MessageStatus, FactSource], ...] = (
    (S.SENT, FactSource.ANSWER),
    (S.REJECTED, FactSource.ANSWER),
    (S.SENT, FactSource.POLL),
    (S.DELIVERED, FactSource.PUSH),
    (S.UNDELIVERED, FactSource.PUSH),
    (S.UNDELIVERED, FactSource.LOOKUP),
)
OURS: tuple[Fact, ...] = (
    Fact(0, S.UNKNOWN, FactSource.ANSWER, Reason.ANSWER_LOST),
    Fact(0, S.UNCONFIRMED, FactSource.DEADLINE, Reason.NO_REPORT),
    Fact(0, S.CANCELLED, FactSource.DECISION, Reason.CANCELLED),
)


def facts_about(numbers: list[int], chance: random.Random) -> list[Fact]:
    """Some of the words above about each message, every one of them twice, in no order."""
    facts: list[Fact] = []
    for number in numbers:
        facts += [word(number, *said) for said in chance.sample(WORDS, chance.randint(1, 3))]
        if chance.random() < 0.5:
            facts.append(chance.choice(OURS)._replace(message_pk=number))
    facts *= 2
    chance.shuffle(facts)
    return facts


def possible_ends(told: set[MessageStatus]) -> set[MessageStatus]:
    """By the rule of precedence, in whatever order they came. What was refused or cancelled before any other word
    stays so; else proof of delivery beats everything, and a failure beats what is under way."""
    ends = told & {S.CANCELLED, S.REJECTED}
    if S.DELIVERED in told:
        ends.add(S.DELIVERED)
    elif S.UNDELIVERED in told or {S.SENT, S.REJECTED} <= told:
        ends.add(S.UNDELIVERED)
    elif S.SENT in told:
        ends |= told & {S.SENT, S.UNCONFIRMED}
    return ends


def test_facts_from_many_writers_leave_every_count_exact(settings):
    """Answers, repeated, reordered and contradicting reports, deadlines and cancellations over the same rows, beside
    people who pause and resume."""
    settings.CHUNK_SIZE = settings.BATCH_SIZE = 100
    bulk = make_campaign(count=SETTLED_ROWS)
    account = bulk.account
    for _ in range(100):
        make_single(account)
    expand_ready()
    chance = random.Random(2)
    facts = facts_about(list(Message.objects.values_list("id", flat=True)), chance)
    told: dict[int, set[MessageStatus]] = defaultdict(set)
    for fact in facts:
        told[fact.message_pk].add(fact.status)

    def write(part: int) -> None:
        """Half of the writers batch by batch, each from another one on: they meet at the campaign alone."""
        share = facts[part::WORKERS]
        if part % 2:
            share.sort(key=lambda fact: ((fact.message_pk >> BATCH_SHIFT) + part) % WORKERS)
        for start in range(0, len(share), 100):
            settlement.apply(share[start : start + 100])

    def interfere() -> None:
        campaign = Campaign.objects.get(pk=bulk.pk)
        move = {CampaignStatus.RUNNING: campaign_services.pause, CampaignStatus.PAUSED: campaign_services.resume}
        with suppress(InvalidState):  # completed meanwhile
            if act := move.get(CampaignStatus(campaign.status)):
                act(campaign, campaign.user)
        for batch in leases.lease(Lane.CAMPAIGNS, 2):
            if call := opened_of(batch):
                record.record(submit.Result(call, error=NotSent("not now", retry_after=0.1)))

    before = deadlocks()
    with meanwhile(interfere):
        run_together(*(lambda part=part: write(part) for part in range(WORKERS)))
    assert deadlocks() == before
    for campaign in Campaign.objects.all():
        assert_counted(campaign)
    assert_deltas_add_up()
    ends = {number: S(status) for number, status in Message.objects.values_list("id", "status")}
    assert {number: told[number] for number, end in ends.items() if end not in possible_ends(told[number])} == {}


def assert_deltas_add_up() -> None:
    """The statistics' own record of what each transaction changed adds up to the batches' tallies."""
    sums: dict[int, Counter[str]] = defaultdict(Counter)
    for delta in StatDelta.objects.all():
        sums[delta.batch_id].update(delta.tally)
    for batch in Batch.objects.all():
        assert {status: sums[batch.pk][status] for status in batch.tally} == batch.tally


def test_bodies_that_deliver_some_and_refuse_our_account_for_others_lock_in_one_order(settings, monkeypatch):
    settings.CHUNK_SIZE = 200
    monkeypatch.setattr(report_inbox, "SECONDS_AT_ONCE", SECONDS)
    first, second = make_campaign(count=100), make_campaign(count=100)
    expand_ready()
    settlement.apply(
        [word(number, S.SENT, FactSource.ANSWER) for number in Message.objects.values_list("id", flat=True)]
    )
    ids = [message.message_id for message in Message.objects.all()]
    chance = random.Random(5)
    for _ in range(60):
        chosen = chance.sample(ids, 6)
        entries = [
            {"messageId": message_id, "status": outcomes.NO_CREDIT if place % 2 else outcomes.TO_HANDSET}
            for place, message_id in enumerate(chosen)
        ]
        report_inbox.receive(
            "simulator", FactSource.PUSH, orjson.dumps({"results": entries}), report_inbox.REPORTS_AT_ONCE
        )
    run_together(*[report_inbox.apply_waiting] * 4)
    assert not report_inbox.ReportInbox.objects.filter(applied_at=None).exists()
    for campaign in (first, second):
        assert_counted(campaign)


# --- a database that cuts the connection ------------------------------------------------------------------


def cut_a_connection() -> bool:
    """End a session of another thread in the middle of what it does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle' "
            "ORDER BY random() LIMIT 1"
        )
        return cursor.fetchone() is not None


def test_connections_cut_at_any_moment_lose_and_double_nothing(simulator, settings, caplog):
    settings.LEASE_SECONDS, settings.GATEWAY_TIMEOUT = 1.0, 0.4
    settings.SIMULATOR_UNKNOWN_GRACE = 0.5
    settings.SIMULATOR_RESEND_UNKNOWN_AFTER = 0.5
    simulator.set_faults(refuse_repeated=0)
    again: Counter[str] = Counter()
    work = (
        expand_ready,
        lambda: dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=0.3),
        report_inbox.apply_waiting,
        reconciliation.reconcile,
        sweeps.sweep,
    )

    def go_on(chance: random.Random) -> None:
        try:
            chance.choice(work)()
        except DatabaseError as error:
            again[type(error).__name__] += 1
            connection.close()

    chances = [random.Random(seed) for seed in range(4)]
    cuts = 0
    with meanwhile(*(lambda chance=chance: go_on(chance) for chance in chances)):
        while cuts < CUTS:
            if Campaign.objects.filter(queued__gt=0).count() < 2:
                make_campaign(count=RECIPIENTS)
            cuts += cut_a_connection()
            time.sleep(chances[0].random() / 50)  # so that the moments differ
    repeated = [line for line in caplog.records if line.name == isolation.__name__]
    assert again or repeated, "no cut was felt"

    def next_run() -> None:
        for act in work:
            act()
        report_inbox.poll()  # hands each report out once: what is lost with it comes back by look-up, much later

    eventually(is_closed, next_run, SECONDS)
    assert_exact(simulator)
    assert not Attempt.objects.filter(state=AttemptState.OPEN).exists()


# --- people who stop what is running ----------------------------------------------------------------------


def hold(campaign: Campaign) -> None:
    suspend_account(campaign.account)


def lift_hold(campaign: Campaign) -> None:
    Account.objects.filter(pk=campaign.account_id).update(is_active=True)


def pause(campaign: Campaign) -> None:
    campaign_services.pause(campaign, campaign.user)


def resume(campaign: Campaign) -> None:
    campaign_services.resume(Campaign.objects.get(pk=campaign.pk), campaign.user)


@pytest.mark.parametrize(("stop", "go_on"), [(pause, resume), (hold, lift_hold)], ids=["pause", "hold of the account"])
def test_no_attempt_is_committed_after_the_answer(simulator, settings, stop, go_on):
    settings.BATCH_SIZE = 1
    settings.CHUNK_SIZE = 400
    campaign = make_campaign(count=400)
    expand_ready()
    steps: list[None] = []

    def work() -> None:
        for batch in leases.lease(Lane.CAMPAIGNS, 2):
            if call := opened_of(batch):
                record.record(submit.Result(call, error=NotSent("not now", retry_after=0.1)))
        steps.append(None)

    chance = random.Random(3)
    opened = 0
    with meanwhile(work, work, work):
        for _ in range(ROUNDS):
            time.sleep(chance.random() / 100)
            stop(campaign)
            count, done = Attempt.objects.count(), len(steps)
            wait_until(lambda done=done: len(steps) >= done + 6)
            assert Attempt.objects.count() == count
            opened, before = count, opened
            go_on(campaign)
            wait_until(lambda count=count: Attempt.objects.count() > count)
    assert opened > before > 0


def test_what_is_cancelled_never_reached_the_provider(simulator, settings):
    settings.BATCH_SIZE = 2
    chance = random.Random(4)
    act = lambda: dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=1)  # noqa: E731
    with meanwhile(act, act, sweeps.sweep):
        for _ in range(ROUNDS):
            campaign = make_campaign(count=24)  # twelve batches: some are left whenever it is cancelled
            expand_ready()
            time.sleep(chance.random() / 25)
            with suppress(InvalidState):  # it was quicker
                campaign_services.cancel(campaign, campaign.user)

    def go_on() -> None:
        for task in TASKS:
            task()

    eventually(is_closed, go_on, SECONDS)
    accepted = Counter(simulator.accepted_ids())
    by_status = defaultdict(set)
    for message in Message.objects.all():
        by_status[S(message.status)].add(message.message_id)
    assert by_status.keys() == {S.CANCELLED, S.DELIVERED}
    assert accepted == dict.fromkeys(by_status[S.DELIVERED], 1)
