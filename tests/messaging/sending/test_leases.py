"""Whose a batch is: real workers that take, freeze and die, on real connections."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from messaging.choices import AttemptState, BatchState, Lane, MessageStatus, Reason
from messaging.models import Attempt, Batch, Message
from messaging.sending import leases
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps
from smsapp.core import clock
from tests.support.builders import queue_up
from tests.support.factories import make_campaign
from tests.support.fixtures import installed  # noqa: F401
from tests.support.pipeline.assertions import assert_counted
from tests.support.pipeline.rounds import eventually, run_dry, statuses
from tests.support.servers.worker_process import Workers, running_workers
from tests.support.together import run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

BATCHES = 2000
TAKERS = 12
DEATHS = 0.05  # of the transactions that lease
SHORT_LEASE, SHORT_CALL = 0.8, 0.3  # seconds, where a worker must really sleep through it


@pytest.fixture(scope="module")
def worker_server(django_db_setup: None) -> Iterator[Workers]:
    with running_workers(connection.settings_dict) as workers:
        yield workers


@pytest.fixture
def workers(worker_server: Workers, simulator: Any) -> Workers:
    """Real processes; the simulator accepts an id as often as it comes, so that sending twice would show."""
    simulator.set_faults(refuse_repeated=0)
    return worker_server


def end_leases() -> None:
    """As if their time were over, and that of the calls made under them."""
    over = clock.now() - timedelta(seconds=1)
    Batch.objects.filter(state=BatchState.LEASED).update(lease_until=over)
    Attempt.objects.filter(state=AttemptState.OPEN).update(deadline=over)
    sweeps.sweep()


def assert_sent_once(simulator: Any, campaign: Any, count: int) -> None:
    eventually(lambda: statuses() == {"delivered": count}, run_dry)
    assert sorted(Counter(simulator.accepted_ids()).values()) == [1] * count
    assert_counted(campaign)


def test_no_batch_is_leased_twice_and_none_is_left():
    """Some of the transactions die with their connection after they have leased."""
    batches = queue_up(BATCHES)
    taken: list[tuple[int, int]] = []
    deaths: list[int] = []

    def take(seed: int) -> None:
        chance = random.Random(seed)
        while Batch.objects.filter(state=BatchState.READY).exists():
            try:
                with transaction.atomic():
                    found = leases.lease(Lane.CAMPAIGNS, 4)
                    if chance.random() < DEATHS:
                        connection.cursor().execute("SELECT pg_terminate_backend(pg_backend_pid())")
            except OperationalError:
                connection.close()
                deaths.append(seed)
            else:
                taken.extend((batch.pk, batch.lease_epoch) for batch in found)

    run_together(*(lambda seed=seed: take(seed) for seed in range(TAKERS)))
    assert deaths, "no transaction died"
    assert sorted(taken) == [(pk, 1) for pk in batches]
    assert set(Batch.objects.values_list("state", "lease_epoch", "lease_count")) == {(BatchState.LEASED, 1, 1)}


def test_a_worker_that_slept_through_its_lease_begins_no_call(workers, simulator, settings):
    """Frozen after its attempt was committed; meanwhile the messages were looked up and sent by others."""
    campaign = make_campaign(count=3)
    expand_ready()
    settings.LEASE_SECONDS, settings.GATEWAY_TIMEOUT = SHORT_LEASE, SHORT_CALL
    pid = workers.start(settings, freeze="make_call")
    workers.wait_for(pid, "stopped")
    assert Attempt.objects.get().state == AttemptState.OPEN
    settings.LEASE_SECONDS, settings.GATEWAY_TIMEOUT = 60.0, 1.0
    eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    workers.thaw(pid)
    assert simulator.ledger()["posts"] == 1
    assert Attempt.objects.order_by("id")[0].state == AttemptState.RESOLVED
    assert_sent_once(simulator, campaign, 3)


@pytest.mark.parametrize("moment", ["make_call", "submit"])
def test_a_worker_that_wakes_up_before_the_sweep_begins_no_call_either(workers, simulator, settings, moment):
    """The second moment is after dispatch has looked at the clock: the gateway's first byte has to look again."""
    campaign = make_campaign(count=3)
    expand_ready()
    settings.LEASE_SECONDS, settings.GATEWAY_TIMEOUT = SHORT_LEASE, SHORT_CALL
    pid = workers.start(settings, freeze=moment)
    workers.wait_for(pid, "stopped")
    eventually(lambda: Batch.objects.overdue_leases(clock.now()).exists(), lambda: None)
    workers.thaw(pid)
    assert (simulator.ledger()["posts"], statuses()) == (0, {"queued": 3})
    assert_sent_once(simulator, campaign, 3)


def test_a_worker_that_is_frozen_in_its_call_does_not_make_it_twice(workers, simulator, settings):
    simulator.set_faults(slow_drip=1, drip_seconds=0.004)
    settings.GATEWAY_TIMEOUT = 10.0
    campaign = make_campaign(count=1)
    expand_ready()
    pid = workers.start(settings)
    eventually(lambda: simulator.ledger()["accepted"] == 1, lambda: None)
    workers.freeze(pid)
    end_leases()
    simulator.set_faults()
    eventually(lambda: statuses() == {"delivered": 1}, run_dry)
    workers.thaw(pid)
    assert simulator.ledger()["posts"] == 1
    assert_sent_once(simulator, campaign, 1)


@pytest.mark.parametrize("is_settled", [True, False], ids=["looked up meanwhile", "not looked up yet"])
def test_a_worker_that_is_frozen_before_it_records_says_nothing_wrong(workers, simulator, settings, is_settled):
    campaign = make_campaign(count=3)
    expand_ready()
    pid = workers.start(settings, freeze="record_all")
    workers.wait_for(pid, "stopped")
    end_leases()
    assert statuses() == {"unknown": 3}
    if is_settled:
        eventually(lambda: statuses() == {"delivered": 3}, run_dry)
    workers.thaw(pid)
    assert statuses() == ({"delivered": 3} if is_settled else {"sent": 3})
    assert simulator.ledger()["posts"] == 1
    assert_sent_once(simulator, campaign, 3)


def test_a_batch_that_kills_its_worker_five_times_is_stopped_and_its_neighbours_are_sent(workers, simulator, settings):
    settings.BATCH_SIZE, settings.MAX_LEASES = 1, 5
    campaign = make_campaign(count=8)
    expand_ready()
    deadly = Batch.objects.order_by("id")[2].pk
    ends: list[str] = []
    while Batch.objects.filter(state=BatchState.READY).exists() and len(ends) < 20:
        pid = workers.start(settings, dies_of=deadly, budget=2)
        ends.append(workers.wait_for(pid, "ended", "killed"))
        end_leases()
    assert ends.count("killed") == settings.MAX_LEASES
    stopped = Message.objects.get(status=MessageStatus.FAILED)
    assert (stopped.batch_id, stopped.reason) == (deadly, Reason.POISON)
    eventually(lambda: statuses() == {"delivered": 7, "failed": 1}, run_dry)
    assert sorted(Counter(simulator.accepted_ids()).values()) == [1] * 7
    assert_counted(campaign)
