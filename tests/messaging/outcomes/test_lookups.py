"""Look-ups: small calls are asked about together, and a gateway that does not answer hides no other."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from campaigns.choices import CampaignKind
from campaigns.validation import CampaignRequest
from messaging.choices import AttemptState, GatewayKind, Lane, MessageStatus
from messaging.gateways.base import Lookup, Report, Unknown
from messaging.models import Attempt, Batch, Gateway
from messaging.outcomes import lookups, missing_reports, reconciliation
from messaging.querysets import each_value
from messaging.sending import leases, record, submit
from messaging.services import send
from tests.support.factories import AccountFactory, MembershipFactory, in_use, phones
from tests.support.pipeline.rounds import eventually, statuses
from tests.support.pipeline.steps import opened_of
from tests.support.servers.gateways import RawServer, answering, hanging, raw_server
from tests.support.servers.simulators import RunningSimulator

pytestmark = pytest.mark.django_db
MINUTES = timedelta(minutes=5)
EMPTY = b'{"results":[],"cursor":{"limit":100}}'


def opened_singles(count: int, size: int = 1) -> list[submit.Call]:
    """The calls of so many single sends to `size` numbers each."""
    account: Account = AccountFactory()
    user = MembershipFactory(account=account).user
    for place in range(count):
        request = CampaignRequest(kind=CampaignKind.SINGLE, message=f"Code {place}")
        send(account, user, request, phones(size, place * size))
    found: list[submit.Call] = []
    while batches := leases.lease(Lane.SINGLES, 50):
        found += [call for batch in batches if (call := opened_of(batch))]
    assert len(found) == count
    return found


def lose(opened: Sequence[submit.Call]) -> None:
    """Their answers are lost; long enough ago that absence would be proof."""
    for call in opened:
        record.record(submit.Result(call, error=Unknown("lost")))
    long_ago = timezone.now() - MINUTES
    Attempt.objects.filter(state=AttemptState.UNKNOWN).update(finished_at=long_ago, next_lookup_at=long_ago)


def test_ninety_single_sends_cost_one_look_up(simulator: RunningSimulator) -> None:
    opened = opened_singles(90)
    arrived, absent = opened[::2], opened[1::2]
    for call in arrived:
        submit.make_call(call)
    lose(opened)
    simulator.set_faults(log_limit=1)
    assert reconciliation.reconcile() == 90
    assert statuses() in ({"sent": 45, "queued": 45}, {"delivered": 45, "queued": 45})
    assert set(Attempt.objects.values_list("state", "next_lookup_at")) == {(AttemptState.RESOLVED, None)}
    assert {call.attempt.batch_id for call in absent} == set(
        Batch.objects.filter(queued=1, unknown=0).values_list("pk", flat=True)
    )


def test_what_fits_is_asked_together_and_what_is_large_alone(simulator: RunningSimulator) -> None:
    sizes = [1, 50, 40, 1, 91, 90, 2]
    attempts = [Attempt(gateway="simulator", message_count=size) for size in sizes]
    groups = [[attempt.message_count for attempt in group] for group in lookups.grouped(attempts)]
    assert groups == [[1, 50], [91], [40, 1], [90], [2]]
    assert list(lookups.grouped([])) == []


def test_absence_is_no_proof_before_its_time_in_a_common_look_up(simulator: RunningSimulator) -> None:
    opened = opened_singles(4)
    lose(opened)
    young = [call.attempt.pk for call in opened[:2]]
    Attempt.objects.filter(pk__in=young).update(finished_at=timezone.now() + timedelta(seconds=60))
    assert reconciliation.reconcile() == 2
    assert statuses() == {"unknown": 2, "queued": 2}
    assert set(Attempt.objects.filter(state=AttemptState.UNKNOWN).values_list("pk", flat=True)) == set(young)


def test_a_common_look_up_of_a_provider_that_will_not_tell_resolves_nothing(simulator: RunningSimulator) -> None:
    lose(opened_singles(3))
    simulator.set_faults(log_outage=1.0)
    assert reconciliation.reconcile() == 0
    assert statuses() == {"unknown": 3}
    assert set(Attempt.objects.values_list("lookup_count", flat=True)) == {0}


def test_an_attempt_that_another_worker_has_claimed_is_left_out(simulator: RunningSimulator) -> None:
    opened = opened_singles(3)
    lose(opened)
    attempts = list(Attempt.objects.order_by("pk"))
    Attempt.objects.filter(pk=attempts[0].pk).update(next_lookup_at=timezone.now() + MINUTES)
    asked = reconciliation.ask_together(attempts, lookups.Allowance())
    assert [one.attempt.pk for one in asked] == [attempt.pk for attempt in attempts[1:]]


def test_an_earlier_refusal_of_the_same_message_is_no_answer_to_a_later_call(simulator: RunningSimulator) -> None:
    """The log knows the message under both calls, by its id: refused for want of credit, then taken."""
    opened = opened_singles(2)
    simulator.set_faults(refuse_repeated=0)
    attempt, other = (call.attempt for call in opened)
    ours = opened[0].submission.messages[0].message_id
    lose(opened)
    earlier = Report(ours, MessageStatus.REJECTED, account_refused=True, reference=f"{attempt.reference}-earlier")
    nameless = Report(ours, MessageStatus.SENT)
    own = Report(ours, MessageStatus.SENT, reference=attempt.reference)
    answer = Lookup([earlier, nameless, own], conclusive=True)
    assert lookups.answer_of(attempt, answer).reports == [nameless, own]
    assert lookups.answer_of(other, answer).reports == []


# --- Gateways in turn --------------------------------------------------------------------------------------


def infobip(stack: ExitStack, name: str, status: int) -> RawServer:
    server = stack.enter_context(raw_server(answering(status, EMPTY)))
    row = Gateway(name=name, kind=GatewayKind.INFOBIP, base_url=server.url, **in_use())
    row.secrets = {"api_key": "key"}
    row.save()
    return server


def overdue(batch: Batch, gateway: str, count: int) -> None:
    """Calls of a gateway that wait to be looked up, each longer than those made before it."""
    first = Attempt.objects.count()
    Attempt.objects.bulk_create(
        Attempt(
            batch=batch,
            gateway=gateway,
            reference=f"{gateway}-{n}",
            epoch=1,
            first=n,
            last=n,
            message_count=100,
            state=AttemptState.UNKNOWN,
            deadline=timezone.now(),
            finished_at=timezone.now() - MINUTES,
            next_lookup_at=timezone.now() - MINUTES - timedelta(seconds=first + n),
        )
        for n in range(count)
    )


def test_a_silent_gateway_with_many_lost_calls_hides_no_other(simulator: RunningSimulator, settings: Any) -> None:
    (call,) = opened_singles(1)
    batch = Batch.objects.get(pk=call.attempt.batch_id)
    with ExitStack() as stack:
        silent, healthy = infobip(stack, "a-silent", 500), infobip(stack, "b-healthy", 200)
        overdue(batch, "b-healthy", 3)
        overdue(batch, "a-silent", 2000)
        reconciliation.reconcile()
        assert (len(silent.requests), len(healthy.requests)) == (1, 3)


def test_silent_gateways_that_use_the_time_up_leave_the_next_turn_to_others(
    simulator: RunningSimulator, settings: Any
) -> None:
    (call,) = opened_singles(1)
    batch = Batch.objects.get(pk=call.attempt.batch_id)
    settings.GATEWAY_TIMEOUT, settings.TASK_BUDGET = 0.5, 0.2  # over after the first look-up
    with ExitStack() as stack:
        servers = {name: hanging(stack, name) for name in ("a", "b", "c", "d")}
        for name in servers:
            overdue(batch, name, 5)
        for _ in range(6):
            reconciliation.reconcile()
        assert [len(server.requests) >= 1 for server in servers.values()] == [True] * 4


def reports_are_missing(calls_made: Sequence[submit.Call], gateway: str, at: datetime) -> None:
    """Answered calls of a gateway whose reports have not come and are looked up from `at` on."""
    ids = [call.attempt.batch_id for call in calls_made]
    Batch.objects.filter(pk__in=ids).update(gateway=gateway, report_check_at=at)
    Attempt.objects.filter(batch__in=ids).update(gateway=gateway)


def taken_singles(count: int) -> list[submit.Call]:
    opened = opened_singles(count)
    for call in opened:
        record.record(submit.make_call(call))
    return opened


@pytest.fixture
def short_of_time(settings: Any) -> None:
    """A call that hangs uses up the time of its round."""
    settings.GATEWAY_TIMEOUT, settings.TASK_BUDGET = 0.3, 0.2


def test_look_ups_that_hang_for_ever_leave_report_checks_their_time(simulator: RunningSimulator, settings: Any) -> None:
    settings.GATEWAY_TIMEOUT, settings.TASK_BUDGET = 1.2, 2.0  # a call that hangs takes longer than half of the budget
    taken = taken_singles(1)
    with ExitStack() as stack:
        healthy = infobip(stack, "z-healthy", 200)
        reports_are_missing(taken, "z-healthy", timezone.now() - MINUTES)
        for name in ("a", "b", "c"):
            hanging(stack, name)
            overdue(Batch.objects.get(), name, 20)
        reconciliation.reconcile()
        assert len(healthy.requests) == 1


def test_report_checks_that_hang_for_ever_leave_look_ups_their_time(
    simulator: RunningSimulator, short_of_time: None
) -> None:
    *taken, _ = opened = taken_singles(9)
    with ExitStack() as stack:
        for place, name in enumerate(("a", "b", "c", "d")):
            hanging(stack, name)
            reports_are_missing(taken[2 * place : 2 * place + 2], name, timezone.now() - MINUTES)
        healthy = infobip(stack, "z-healthy", 200)
        overdue(opened[-1].attempt.batch, "z-healthy", 3)
        eventually(lambda: len(healthy.requests) == 3, reconciliation.reconcile)


def test_a_gateway_that_hangs_is_left_alone_for_a_while_for_both_purposes(
    simulator: RunningSimulator, short_of_time: None, settings: Any
) -> None:
    settings.UNKNOWN_GRACE = 0.3  # seconds; a tenth of the pause
    taken = taken_singles(1)
    with ExitStack() as stack:
        server = hanging(stack, "a")
        reports_are_missing(taken, "a", timezone.now() - MINUTES)
        overdue(Batch.objects.get(), "a", 20)
        eventually(lambda: len(server.requests) == 1, reconciliation.reconcile)
        for _ in range(3):
            reconciliation.reconcile()
        assert len(server.requests) == 1
        eventually(lambda: len(server.requests) == 2, reconciliation.reconcile)


def test_what_the_log_has_forgotten_is_closed_though_its_provider_tells_nothing(simulator: RunningSimulator) -> None:
    (call,) = opened_singles(1)
    with ExitStack() as stack:
        silent = infobip(stack, "a-silent", 500)
        overdue(call.attempt.batch, "a-silent", 5)
        young = Attempt.objects.filter(gateway="a-silent").earliest("pk")
        long_ago = timezone.now() - timedelta(hours=48)
        Attempt.objects.filter(gateway="a-silent").exclude(pk=young.pk).update(finished_at=long_ago)
        assert reconciliation.reconcile() == 4
        assert len(silent.requests) == 1
        assert list(Attempt.objects.filter(state=AttemptState.UNKNOWN)) == [young]


def test_a_gateway_that_is_no_longer_configured_is_not_waited_for(simulator: RunningSimulator) -> None:
    """Nobody is asked, so its calls are worked off as the allowance has it."""
    (call,) = opened_singles(1)
    overdue(call.attempt.batch, "gone", 3)
    reconciliation.reconcile()
    assert not Attempt.objects.to_look_up("gone", timezone.now()).exists()


def test_silent_reports_of_one_gateway_hide_no_other(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, long_ago = taken_singles(5), timezone.now() - MINUTES
    with ExitStack() as stack:
        silent, healthy = infobip(stack, "a-silent", 500), infobip(stack, "b-healthy", 200)
        reports_are_missing(opened[:4], "a-silent", long_ago - MINUTES)
        reports_are_missing(opened[4:], "b-healthy", long_ago)
        monkeypatch.setattr(missing_reports, "LOOKED_THROUGH", 2)
        missing_reports.check_due(lookups.Allowance())
        assert (len(silent.requests), len(healthy.requests)) == (1, 1)


def test_each_gateway_is_found_by_one_question(simulator: RunningSimulator) -> None:
    (call,) = opened_singles(1)
    for name in ("a", "b", "c"):
        overdue(Batch.objects.get(pk=call.attempt.batch_id), name, 100)
    with CaptureQueriesContext(connection) as queries:
        assert list(each_value(Attempt.objects.filter(state=AttemptState.UNKNOWN), "gateway")) == ["a", "b", "c"]
    assert len(queries) == 4


@pytest.mark.postgresql
def test_what_is_due_is_found_by_an_index() -> None:
    batch = Batch.objects.get(pk=opened_singles(1)[0].attempt.batch_id)
    overdue(batch, "a", 3000)
    Attempt.objects.filter(pk__in=Attempt.objects.order_by("pk")[:500]).update(state=AttemptState.RESOLVED)
    Batch.objects.bulk_create(
        Batch(
            account=batch.account,
            campaign=batch.campaign,
            chunk=n,
            part=9,
            mode="live",
            lane=1,
            turn=n,
            gateway="a",
            sent=int(n % 2 == 0),
            size=1,
            state="done",
        )
        for n in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_attempt, messaging_batch")
    now = timezone.now()
    silent = Batch.objects.filter(sent__gt=0)
    plans = {
        "attempt_to_look_up": Attempt.objects.to_look_up("a", now)[:10].explain(),
        "batch_report_check": silent.filter(gateway="a", report_check_at__lte=now)
        .order_by("report_check_at")[:10]
        .explain(),
    }
    for index, plan in plans.items():
        assert index in plan
        assert "Sort" not in plan
    unknown = Attempt.objects.filter(state=AttemptState.UNKNOWN)
    assert "attempt_to_look_up" in unknown.order_by("gateway").values_list("gateway")[:1].explain()
