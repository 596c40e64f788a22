"""The plan is the seed's, and hits what there is to hit."""

from collections import Counter

import pytest

from tests.chaos.plan import IN_CALLS, NO_KILL, SENDING, Target, make_plan

EVERYTHING = set(Target) - {Target.POISON}


def test_a_plan_is_a_function_of_its_seed() -> None:
    plan = make_plan(7, 5000, 50, EVERYTHING)
    assert plan == make_plan(7, 5000, 50, EVERYTHING)
    assert plan != make_plan(8, 5000, 50, EVERYTHING)


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_hits_everything_and_mostly_calls(seed: int) -> None:
    plan = make_plan(seed, 50_000, 200, EVERYTHING)
    hit = Counter(event.target for event in plan)
    assert set(hit) == EVERYTHING
    assert hit[Target.SUPERVISOR] == 100
    assert hit.total() - sum(hit[target] for target in (*NO_KILL, Target.SUPERVISOR)) == 200
    assert sum(event.wants_call for event in plan if event.target in SENDING) > 100
    assert abs(hit[Target.WORKER] - hit[Target.WORKER_ALONE]) <= 2
    assert plan[0].at == 0 < plan[-1].at < 50_000
    assert all(not event.wants_call for event in plan if event.target not in IN_CALLS)


def test_a_plan_leaves_out_what_is_not_there() -> None:
    absent = {Target.BROKER, Target.DATABASE, Target.CONNECTIONS}
    assert {event.target for event in make_plan(1, 50_000, 200, EVERYTHING - absent)} == EVERYTHING - absent


def test_a_short_plan_still_has_every_outage_and_kills_the_database() -> None:
    hit = {event.target for event in make_plan(1, 100, 3, EVERYTHING)}
    assert hit == {Target.CHILD, Target.WORKER, Target.DATABASE, Target.SUPERVISOR, *NO_KILL}
