"""Who is served when: single sends beside campaigns, accounts in turn, and what may not leave slows nobody."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from accounts.models import Account
from campaigns import services as campaign_services
from campaigns.choices import CampaignStatus
from campaigns.models import Campaign
from messaging.choices import BatchState, Lane
from messaging.gateways.base import NotSent
from messaging.models import Attempt, Batch
from messaging.sending import dispatch, fair_queue, leases, record, submit
from messaging.sending.expansion import expand_ready
from messaging.upkeep import sweeps
from smsapp import queues
from smsapp.core import clock
from tests.support.builders import make_single, queue_up
from tests.support.factories import MembershipFactory, make_campaign
from tests.support.pipeline.rounds import eventually
from tests.support.pipeline.steps import opened_of
from tests.support.together import together

pytestmark = pytest.mark.django_db

CAMPAIGN_BATCHES = 60  # of a campaign beside which single sends leave
SINGLES = 8
LATENCY_MS = 40.0  # of the gateway meanwhile
QUEUED = 1000  # batches of the account that came first
STOPPED = 20_000  # batches that may not leave
FEW_ROWS = 40  # read by one look at the queue, however many wait


@pytest.fixture(autouse=True)
def small_batches(settings: Any) -> None:
    settings.BATCH_SIZE = 1


def account_of(batches: list[int]) -> Account:
    return Batch.objects.get(pk=batches[0]).account


def leased(count: int) -> list[int]:
    """The batches that dispatch takes next, one by one."""
    return [batch.pk for _ in range(count) for batch in leases.lease(Lane.CAMPAIGNS, 1)]


# --- lanes ------------------------------------------------------------------------------------------------


def test_no_worker_process_serves_both_lanes():
    lanes = {queues.TASK_QUEUES["messaging.dispatch_singles"], queues.TASK_QUEUES["messaging.dispatch_campaigns"]}
    assert len(lanes) == 2
    assert all(len(lanes & set(served)) <= 1 for _, served, _ in queues.WORKERS)


def test_reports_wait_for_no_worker_that_calls_a_gateway():
    (served,) = [served for _, served, _ in queues.WORKERS if queues.TASK_QUEUES["messaging.apply_reports"] in served]
    assert {task for task, queue in queues.TASK_QUEUES.items() if queue in served} == {"messaging.apply_reports"}


def test_a_lane_takes_its_own_batches_only(simulator):
    single, campaign = make_single(), make_campaign(count=2)
    expand_ready()
    assert dispatch.dispatch_ready(Lane.SINGLES, seconds=10) == 1
    assert {attempt.batch.campaign_id for attempt in Attempt.objects.all()} == {single.pk}
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10) == 2
    assert Batch.objects.filter(campaign=campaign, state=BatchState.DONE).count() == 2


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_single_sends_leave_while_a_campaign_still_waits(simulator, settings):
    """The gateway is slow, the campaign's worker is busy with it, and the single sends come last."""
    settings.GATEWAY_TIMEOUT = 5.0
    settings.GATEWAY_CALLS_IN_FLIGHT = 2
    simulator.set_faults(latency_ms=LATENCY_MS)
    make_campaign(count=CAMPAIGN_BATCHES)
    expand_ready()
    with together(lambda: dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=30)):
        eventually(lambda: simulator.ledger()["accepted"] >= 4, lambda: None)
        singles = [make_single() for _ in range(SINGLES)]
        expand_ready()
        dispatch.dispatch_ready(Lane.SINGLES, seconds=10)
        assert Batch.objects.filter(lane=Lane.CAMPAIGNS, state=BatchState.READY).exists()
    prefixes = {
        attempt.reference: attempt.batch.campaign_id in {single.pk for single in singles}
        for attempt in Attempt.objects.select_related("batch")
    }
    order = [prefixes[message["reference"]] for message in simulator.messages()]
    assert (order.count(True), order.count(False)) == (SINGLES, CAMPAIGN_BATCHES)
    assert not any(order[-CAMPAIGN_BATCHES // 3 :]), "single sends had to wait for the campaign"


# --- turns ------------------------------------------------------------------------------------------------


def test_a_newcomer_with_few_batches_alternates_with_a_long_queue():
    long = queue_up(QUEUED)
    assert leased(10) == long[:10]
    few = queue_up(3)
    assert leased(8) == [long[10], few[0], long[11], few[1], long[12], few[2], long[13], long[14]]


def test_calls_begin_in_the_order_of_turns(simulator):
    first = make_campaign(count=12)
    expand_ready()
    second = make_campaign(count=3)
    expand_ready()
    dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10)
    order = list(Attempt.objects.order_by("id").values_list("batch__campaign_id", flat=True))
    assert order[:7] == [first.pk, second.pk, first.pk, second.pk, first.pk, second.pk, first.pk]


def test_two_campaigns_of_one_account_have_one_share_together():
    first = queue_up(100)
    account = account_of(first)
    second = queue_up(100, account)
    other = queue_up(5)
    assert leased(10) == [
        first[0],
        other[0],
        first[1],
        other[1],
        first[2],
        other[2],
        first[3],
        other[3],
        first[4],
        other[4],
    ]
    assert set(leased(195)) == {*first[5:], *second}


def test_an_account_that_comes_back_after_a_pause_does_not_overtake_what_waited_meanwhile():
    """Its batches have the low turns of when it stopped, and others have gone far beyond."""
    stopped = queue_up(50)
    campaign = Batch.objects.get(pk=stopped[0]).campaign
    campaign_services.pause(campaign, campaign.user)
    assert fair_queue.set_aside() == 50
    running = queue_up(200)
    assert leased(100) == running[:100]
    campaign.refresh_from_db()
    campaign_services.resume(campaign, campaign.user)
    assert fair_queue.requeue() == 50
    assert leased(4) == [stopped[0], running[100], stopped[1], running[101]]


def test_a_batch_that_is_tried_again_lets_no_newcomer_overtake(simulator):
    waiting = queue_up(50)
    (tried,) = leases.lease(Lane.CAMPAIGNS, 1)
    assert leased(20) == waiting[1:21]
    Batch.objects.filter(pk=tried.pk).update(state=BatchState.READY, lease_until=None)
    newcomer = queue_up(10)
    assert leased(4) == [waiting[0], waiting[21], newcomer[0], waiting[22]]


def test_a_newcomer_is_level_with_those_that_all_try_again():
    waiting = queue_up(20)
    leased(20)
    Batch.objects.update(state=BatchState.READY, lease_until=None)
    Batch.objects.filter(pk__in=waiting[:10]).update(state=BatchState.DONE)
    newcomer = queue_up(5)
    assert leased(4) == [waiting[10], newcomer[0], waiting[11], newcomer[1]]


def test_an_accounts_next_campaign_is_not_put_before_the_others(simulator):
    """Its only waiting batch is one that is tried again and has kept its early turn."""
    early = queue_up(1)
    account = account_of(early)
    others = queue_up(50)
    assert set(leased(21)) == {early[0], *others[:20]}
    Batch.objects.filter(pk=early[0]).update(state=BatchState.READY, lease_until=None)
    following = queue_up(5, account)
    assert leased(4) == [early[0], others[20], following[0], others[21]]


# --- set aside --------------------------------------------------------------------------------------------


def test_what_may_not_leave_is_set_aside_and_taken_up_again(simulator):
    paused, held, later = make_campaign(count=2), make_campaign(count=2), make_single()
    running = make_campaign(count=2)
    expand_ready()
    Campaign.objects.filter(pk=later.pk).update(status=CampaignStatus.SCHEDULED)
    campaign_services.pause(paused, paused.user)
    Account.objects.filter(pk=held.account_id).update(is_active=False)
    assert (fair_queue.set_aside(), fair_queue.set_aside(), fair_queue.requeue()) == (5, 0, 0)
    assert set(Batch.objects.filter(state=BatchState.READY).values_list("campaign", flat=True)) == {running.pk}
    paused.refresh_from_db()
    campaign_services.resume(paused, paused.user)
    Account.objects.filter(pk=held.account_id).update(is_active=True)
    Campaign.objects.filter(pk=later.pk).update(status=CampaignStatus.RUNNING)
    assert (fair_queue.requeue(), fair_queue.requeue(), fair_queue.set_aside()) == (5, 0, 0)
    for lane in Lane:
        dispatch.dispatch_ready(lane, seconds=10)
    assert len(simulator.accepted_ids()) == 7


def test_a_campaign_that_is_cancelled_while_set_aside_is_closed(simulator):
    campaign = make_campaign(count=3)
    expand_ready()
    campaign_services.pause(campaign, campaign.user)
    fair_queue.set_aside()
    campaign.refresh_from_db()
    campaign_services.cancel(campaign, campaign.user)
    sweeps.sweep()
    campaign.refresh_from_db()
    assert (campaign.cancelled, campaign.closed_at is not None) == (3, True)
    assert not Batch.objects.exclude(state=BatchState.DONE).exists()


@pytest.mark.parametrize("stop", [campaign_services.pause, campaign_services.cancel])
def test_one_sweep_lets_others_past_a_campaign_that_stopped(simulator, monkeypatch, stop):
    """However many batches it has at the front of the queue, and however few of them a sweep closes."""
    monkeypatch.setattr(leases, "FRONT", 5)
    monkeypatch.setattr(sweeps, "ROWS_PER_SWEEP", 2)
    stopped = make_campaign(count=20)
    expand_ready()
    make_campaign(stopped.account, count=2)
    expand_ready()
    stop(stopped, stopped.user)
    sweeps.sweep()
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10) == 2


def test_the_sweep_sets_aside_and_takes_up(simulator):
    campaign = make_campaign(count=2)
    expand_ready()
    campaign_services.pause(campaign, campaign.user)
    sweeps.sweep()
    assert set(Batch.objects.values_list("state", flat=True)) == {BatchState.DEFERRED}
    campaign.refresh_from_db()
    campaign_services.resume(campaign, campaign.user)
    sweeps.sweep()
    assert dispatch.dispatch_ready(Lane.CAMPAIGNS, seconds=10) == 2


def test_what_was_set_aside_keeps_waiting_for_its_next_try():
    """A pause is no way round what the provider asked for."""
    campaign = make_campaign(count=1)
    expand_ready()
    (batch,) = leases.lease(Lane.CAMPAIGNS, 1)
    record.record(submit.Result(opened_of(batch), error=NotSent("too fast", 429, retry_after=60)))
    campaign_services.pause(campaign, campaign.user)
    fair_queue.set_aside()
    campaign.refresh_from_db()
    campaign_services.resume(campaign, campaign.user)
    fair_queue.requeue()
    assert leased(1) == []


def rows_read(act: Any) -> int:
    """Rows that PostgreSQL fetched from the tables of the pipeline for the SELECTs that `act` makes."""
    statements: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith("SELECT"):
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        act()
    assert statements
    return sum(_visited(sql, params) for sql, params in statements)


def _visited(sql: str, params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
        (plan,) = cursor.fetchone()[0]
    return int(sum(_rows(node) for node in _nodes(plan["Plan"]) if "Relation Name" in node or "Index Name" in node))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> float:
    dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + dropped) * node["Actual Loops"])


def clone(batch_id: int, count: int) -> None:
    """So many more batches like this one, with the turns after its own."""
    columns = [field.column for field in Batch._meta.concrete_fields if field.column != "id"]
    values = [f"{name} + n" if name in ("part", "turn") else name for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO messaging_batch ({', '.join(columns)}) SELECT {', '.join(values)} "
            "FROM messaging_batch, generate_series(1, %s) n WHERE id = %s",
            [count, batch_id],
        )
        cursor.execute("ANALYZE")


@pytest.fixture
def crowded() -> Campaign:
    """A running campaign behind thousands of batches of a paused campaign and of an account on hold."""
    (paused,), (held,), running = queue_up(1), queue_up(1), queue_up(20)
    Batch.objects.filter(pk__in=running).update(turn=F("turn") + STOPPED)
    clone(paused, STOPPED // 2)
    clone(held, STOPPED // 2)
    campaign = Batch.objects.get(pk=paused).campaign
    campaign_services.pause(campaign, campaign.user)
    Account.objects.filter(pk=account_of([held]).pk).update(is_active=False)
    return Batch.objects.get(pk=running[0]).campaign


@pytest.mark.postgresql
def test_thousands_of_batches_that_may_not_leave_are_not_read_at_every_lease(crowded):
    def lease() -> None:
        assert list(Batch.objects.to_lease(Lane.CAMPAIGNS, clock.now()).select_related("campaign")[:4])

    def turn() -> None:
        assert fair_queue.next_turn(crowded.account_id, Lane.CAMPAIGNS)

    def other_turn() -> None:
        fair_queue.next_turn(MembershipFactory().account.pk, Lane.CAMPAIGNS)

    assert rows_read(lease) > STOPPED, "the instrument sees nothing"
    while fair_queue.set_aside():
        pass
    for look in (lease, turn, other_turn):
        assert rows_read(look) <= FEW_ROWS


@pytest.mark.postgresql
def test_a_long_queue_is_not_read_to_find_its_ends():
    (first,) = queue_up(1)
    clone(first, STOPPED)
    assert rows_read(lambda: fair_queue.next_turn(account_of([first]).pk, Lane.CAMPAIGNS)) <= FEW_ROWS
    assert rows_read(lambda: list(Batch.objects.to_lease(Lane.CAMPAIGNS, clock.now())[:4])) <= FEW_ROWS
