"""Every change is counted exactly once, whoever folds, whenever, and whatever is killed."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.choices import Mode
from messaging.choices import ACCEPTED, FactSource, MessageStatus
from messaging.models import Batch, Message, StatDelta
from messaging.outcomes import settlement
from messaging.outcomes.settlement import Fact
from messaging.sending.expansion import expand_ready
from reports import rollup
from reports.models import DailyCountry, DailyStat
from reports.rollup import fold
from tests.support.factories import AccountFactory, SenderIdFactory, make_audience, make_campaign
from tests.support.pipeline.rounds import eventually, run_dry, send, statuses
from uploads.audiences import audience_from_numbers

pytestmark = pytest.mark.django_db
S = MessageStatus


def cohort_of(row: Batch | DailyStat) -> tuple:
    day = row.day if isinstance(row, DailyStat) else row.created_at.astimezone(UTC).date()
    return row.account_id, row.mode, day


def folded() -> dict[tuple, Counter]:
    sums: dict[tuple, Counter] = defaultdict(Counter)
    for row in DailyStat.objects.all():
        sums[cohort_of(row)].update(row.tally, segments=row.segments)
    return dict(sums)


def counted() -> dict[tuple, Counter]:
    """The truth: the tallies of the batches, and the segments of the messages that a provider took."""
    sums: dict[tuple, Counter] = defaultdict(Counter)
    for batch in Batch.objects.all():
        sums[cohort_of(batch)].update(batch.tally)
    cohorts = {batch.pk: cohort_of(batch) for batch in Batch.objects.all()}
    for message in Message.objects.all():
        taken = message.segment_count if message.status in ACCEPTED else 0
        sums[cohorts[message.batch_id]].update(segments=taken)
    return dict(sums)


def assert_adds_up() -> None:
    """Folded and unfolded together are the tallies of the batches."""
    sums = {cohort: Counter(figures) for cohort, figures in folded().items()}
    cohorts = {batch.pk: cohort_of(batch) for batch in Batch.objects.all()}
    for delta in StatDelta.objects.all():
        sums.setdefault(cohorts[delta.batch_id], Counter()).update(delta.tally | {"segments": delta.segments})
    assert sums == counted()


def move(messages, status: MessageStatus, source: FactSource = FactSource.PUSH) -> None:
    settlement.apply([Fact(message.pk, status, source) for message in messages])


def test_statistics_of_a_campaign_add_up_to_its_batches_at_every_moment(simulator, settings):
    settings.BATCH_SIZE = 10
    simulator.set_faults(accept_reset=0.2)
    make_campaign(count=35)
    expand_ready()
    assert_adds_up()
    fold()
    assert_adds_up()
    send()

    def run_and_fold() -> None:
        run_dry()
        assert_adds_up()
        fold()
        assert_adds_up()

    eventually(lambda: statuses() == {"delivered": 35}, run_and_fold)
    assert StatDelta.objects.count() == 0
    (day,) = DailyStat.objects.all()
    assert (day.delivered, day.segments, sum(day.tally.values())) == (35, 35, 35)


def test_an_outcome_days_later_counts_for_the_day_of_its_message():
    make_campaign(count=3)
    expand_ready()
    three_days_ago = timezone.now() - timedelta(days=3)
    Batch.objects.update(created_at=three_days_ago)
    fold()
    move(Message.objects.all()[:2], S.DELIVERED)
    assert fold() == 1
    (day,) = DailyStat.objects.all()
    assert (day.day, day.queued, day.delivered, day.segments) == (three_days_ago.date(), 1, 2, 2)


def test_a_day_begins_at_midnight_utc(settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    for at in ("2026-03-01T23:59:59.999999", "2026-03-02T00:00:00"):
        campaign = make_campaign(count=1)
        expand_ready()
        Batch.objects.filter(campaign=campaign).update(created_at=datetime.fromisoformat(at).replace(tzinfo=UTC))
    fold()
    assert [f"{row.day}" for row in DailyStat.objects.order_by("day")] == ["2026-03-01", "2026-03-02"]


def test_accounts_modes_and_days_are_kept_apart():
    account = AccountFactory()
    for campaign in (make_campaign(account, 2), make_campaign(account, 3, mode=Mode.TEST), make_campaign(count=4)):
        expand_ready()
        move(Message.objects.filter(campaign=campaign)[:1], S.SENT)
    old = make_campaign(account, 5)
    expand_ready()
    Batch.objects.filter(campaign=old).update(created_at=timezone.now() - timedelta(days=1))
    fold()
    assert folded() == counted()
    assert DailyStat.objects.count() == 4


def test_senders_gateways_and_what_was_spent_are_told_apart():
    account = AccountFactory()
    for sender, count in (("Shop", 3), ("Bank", 2)):
        SenderIdFactory(account=account, value=sender)
        make_campaign(account, count, sender_id=sender)
    expand_ready()
    Batch.objects.filter(campaign__sender_id="Shop").update(price_micro=70_000, gateway="infobip")
    move(Message.objects.all(), S.DELIVERED)
    fold()
    rows = DailyStat.objects.values_list("sender_id", "gateway", "delivered", "segments", "spent_micro")
    gateway = Batch.objects.get(campaign__sender_id="Bank").gateway
    assert sorted(rows) == [("Bank", gateway, 2, 2, 0), ("Shop", "infobip", 3, 3, 210_000)]


def test_countries_of_new_messages_are_counted_once():
    numbers = ["+4915112345678", "+436601234567", "+4915112345679", "+447700900123"]
    audience = audience_from_numbers(AccountFactory(), list(enumerate(numbers, 1)))
    make_campaign(audience.account, audience=audience)
    expand_ready()
    fold()
    move(Message.objects.all()[:2], S.DELIVERED)
    assert fold() == 1
    make_campaign(audience.account, audience=audience, mode=Mode.TEST)
    expand_ready()
    fold()
    counted = {("AT", 1), ("DE", 2), ("GB", 1)}
    for mode in Mode:
        assert set(DailyCountry.objects.filter(mode=mode).values_list("country", "messages")) == counted


def test_a_chunk_in_several_batches_is_one_of_countries(settings):
    settings.BATCH_SIZE = 10
    make_campaign(count=35)
    expand_ready()
    assert Batch.objects.count() == 4
    fold()
    assert DailyCountry.objects.get().messages == 35


def test_what_is_folded_is_not_folded_again():
    make_campaign(count=3)
    expand_ready()
    assert fold() == 1
    before = folded()
    assert fold() == 0
    assert (folded(), StatDelta.objects.count()) == (before, 0)


def test_segments_of_a_message_that_was_not_taken_after_all_are_taken_back():
    account = make_campaign(count=1).account
    make_campaign(account, audience=make_audience(account, 1), message="x" * 161)
    expand_ready()
    long = Message.objects.filter(segment_count=2)
    move(long, S.UNKNOWN, FactSource.ANSWER)
    move(long, S.UNCONFIRMED, FactSource.DEADLINE)
    fold()
    move(long, S.SENT)
    fold()
    assert DailyStat.objects.get().segments == 2
    move(long, S.UNCONFIRMED, FactSource.DEADLINE)
    fold()
    assert folded() == counted()


def test_a_change_whose_batch_is_gone_is_logged_and_holds_nobody_up(caplog):
    make_campaign(count=3)
    expand_ready()
    gone = Batch.objects.get().pk + 1
    StatDelta.objects.create(batch_id=gone, queued=-7, sent=7, segments=9)
    assert fold() == 2
    assert StatDelta.objects.count() == 0
    assert DailyStat.objects.get().queued == 3
    assert f"batch {gone} is gone" in caplog.text
    assert "{'queued': -7, 'sent': 7, 'segments': 9}" in caplog.text


def test_folding_that_breaks_after_removing_has_done_nothing():
    make_campaign(count=3)
    expand_ready()

    def break_after_removing(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE"):
            raise RuntimeError("broken before the commit")
        return result

    with pytest.raises(RuntimeError), connection.execute_wrapper(break_after_removing):
        fold()
    assert (StatDelta.objects.count(), DailyStat.objects.count()) == (1, 0)
    assert fold() == 1
    assert folded() == counted()


def test_statements_do_not_grow_with_rows(monkeypatch):
    make_campaign(count=1)
    expand_ready()
    fold()
    batch_id = Batch.objects.get().pk
    monkeypatch.setattr(rollup, "ROWS_AT_ONCE", 1000)
    StatDelta.objects.bulk_create(StatDelta(batch_id=batch_id, queued=-1, sent=1) for _ in range(3000))
    with CaptureQueriesContext(connection) as queries:
        assert fold() == 3000
    work = [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert Counter(work) == {"SELECT": 3 + 3 + 1, "INSERT": 3, "DELETE": 3}
    row = DailyStat.objects.get()
    assert (row.queued, row.sent) == (1 - 3000, 3000)


def make_batches(days: int) -> list[Batch]:
    """One on each of so many days, of one account."""
    campaign = make_campaign(count=1)
    shared = {"account": campaign.account, "campaign": campaign, "part": 0, "mode": "live", "lane": 1, "turn": 0}
    batches = Batch.objects.bulk_create(Batch(chunk=n, size=1, **shared) for n in range(days))
    for n, batch in enumerate(batches):
        batch.created_at -= timedelta(days=n)
    Batch.objects.bulk_update(batches, ["created_at"], batch_size=200)
    return batches


def test_as_many_days_as_changes_at_once_fit_into_few_statements():
    batches = make_batches(days=rollup.ROWS_AT_ONCE)
    StatDelta.objects.bulk_create(StatDelta(batch_id=batch.pk, queued=1) for batch in batches)
    with CaptureQueriesContext(connection) as queries:
        assert fold() == len(batches)
    assert sum(query["sql"].startswith("INSERT") for query in queries) <= 3
    assert DailyStat.objects.filter(queued=1).count() == len(batches)


def test_a_task_without_time_left_still_folds_some(settings, monkeypatch):
    make_campaign(count=1)
    expand_ready()
    batch_id = Batch.objects.get().pk
    StatDelta.objects.bulk_create(StatDelta(batch_id=batch_id, queued=-1, sent=1) for _ in range(4))
    settings.TASK_BUDGET = 0
    monkeypatch.setattr(rollup, "ROWS_AT_ONCE", 2)
    assert [fold(), fold(), fold(), fold()] == [2, 2, 1, 0]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_statistics_are_exact_under_many_writers_and_many_folders(monkeypatch):
    monkeypatch.setattr(rollup, "ROWS_AT_ONCE", 5)
    days = (timezone.now(), timezone.now() - timedelta(days=1))
    for n in range(4):
        campaign = make_campaign(count=40)
        expand_ready()
        Batch.objects.filter(campaign=campaign).update(created_at=days[n % 2])
    numbers = list(Message.objects.values_list("pk", flat=True))
    written = threading.Event()

    def write(seed: int) -> None:
        facts = [Fact(number, status, FactSource.PUSH) for number in numbers for status in (S.SENT, S.DELIVERED)]
        random.Random(seed).shuffle(facts)
        for start in range(0, len(facts), 8):
            settlement.apply(facts[start : start + 8])

    def fold_until_written() -> None:
        while not written.is_set():
            fold()

    writers = [lambda seed=seed: write(seed) for seed in range(3)]
    with ExitStack() as folders:
        for _ in range(3):
            folders.enter_context(in_thread(fold_until_written))
        folders.callback(written.set)
        with ExitStack() as running:
            for writer in writers:
                running.enter_context(in_thread(writer))
        assert DailyStat.objects.count() > 0
    fold()
    assert StatDelta.objects.count() == 0
    assert folded() == counted()
    assert sum(row["delivered"] for row in folded().values()) == 160


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_folders_of_the_same_days_never_deadlock(monkeypatch):
    monkeypatch.setattr(rollup, "ROWS_AT_ONCE", 40)
    batches = make_batches(days=40)
    deltas = [StatDelta(batch_id=batch.pk, sent=1) for batch in batches * 50]
    random.Random(1).shuffle(deltas)
    StatDelta.objects.bulk_create(deltas)
    with ExitStack() as folders:
        for _ in range(4):
            folders.enter_context(in_thread(fold))
    while fold():
        pass
    assert list(DailyStat.objects.values_list("sent", flat=True)) == [50] * 40


class in_thread:
    """Runs `act` in a thread with a connection of its own; leaving waits for it and raises what it raised."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(act,))

    def _run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            self._error = error
        finally:
            connection.close()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error


#: Folds, says so when the changes are removed, and then never commits.
HANGS_BEFORE_COMMIT = """
import django, time
django.setup()
from django.db import connection
from reports.rollup import fold

def hang_after_removing(execute, sql, params, many, context):
    result = execute(sql, params, many, context)
    if sql.startswith("DELETE"):
        print("removed", flush=True)
        time.sleep(60)
    return result

with connection.execute_wrapper(hang_after_removing):
    fold()
"""


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_killed_between_removing_and_commit_it_has_done_nothing():
    make_campaign(count=3)
    expand_ready()
    database = connection.settings_dict
    url = (
        f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", HANGS_BEFORE_COMMIT],
        cwd=django_settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "smsapp.settings.test"},
        stdout=subprocess.PIPE,
        text=True,
    )
    alarm = threading.Timer(40, child.kill)
    alarm.start()
    try:
        assert child.stdout.readline() == "removed\n"
        assert fold() == 0, "what another has taken is passed over, without waiting"
        os.kill(child.pid, signal.SIGKILL)
    finally:
        alarm.cancel()
        child.kill()
        child.wait(10)
        child.stdout.close()
    assert (StatDelta.objects.count(), DailyStat.objects.count()) == (1, 0)
    eventually(lambda: StatDelta.objects.count() == 0, fold)
    assert folded() == counted()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_writers_do_not_wait_for_a_folder():
    make_campaign(count=3)
    expand_ready()

    def write_meanwhile(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE"):
            with in_thread(lambda: move(Message.objects.all(), S.DELIVERED)):
                pass
        return result

    with connection.execute_wrapper(write_meanwhile):
        fold()
    assert_adds_up()
    fold()
    assert folded() == counted()
    assert DailyStat.objects.get().delivered == 3
