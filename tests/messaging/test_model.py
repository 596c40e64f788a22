"""Every interleaving around one message, over the product's own tables: see `tests/support/pipeline/model.py`."""

import pytest

from messaging.choices import MessageStatus
from tests.support.pipeline.model import DECISION_MOVES, FACT_MOVES, Rules, explore

M = MessageStatus


@pytest.mark.parametrize(("repeated", "resends"), [(False, True), (True, True), (False, False)])
def test_no_interleaving_doubles_misstates_reopens_or_forgets_a_message(repeated, resends):
    explored = explore(Rules(refuses_repeated_ids=repeated, resends_absent=resends))
    assert (explored.broken, explored.steps) == ("", ())
    assert explored.states > 5_000


@pytest.mark.parametrize(
    ("guard", "broken"),
    [
        ("has_epoch", "DOUBLED"),
        ("keeps_time_out_unknown", "DOUBLED"),
        ("loses_open_calls", "DOUBLED"),
        ("spares_open_calls", "MISSTATED"),
        ("waits_for_proof", "DOUBLED"),
        ("ages_when_asked", "DOUBLED"),
        ("checks_deadline", "DOUBLED"),
        ("looks_before_resending", "DOUBLED"),
        ("minds_later_calls", "DOUBLED"),
        ("keeps_given_up", "MISSTATED"),
        ("has_rank", "REOPENED"),
    ],
)
def test_without_one_guard_the_promise_it_keeps_is_broken(guard, broken):
    assert explore(Rules(**{guard: False}), broken).broken == broken


@pytest.mark.parametrize(
    "guard", ["keeps_time_out_unknown", "loses_open_calls", "waits_for_proof", "checks_deadline", "has_epoch"]
)
def test_a_gateway_that_refuses_repeated_ids_replaces_no_guard(guard):
    """Nothing is doubled then, and yet we would say of a message that it was never handed over."""
    assert explore(Rules(refuses_repeated_ids=True, **{guard: False}), "MISSTATED").broken == "MISSTATED"


def test_of_the_two_guards_against_stale_look_ups_one_is_enough():
    """Save where the account is refused beside an unknown outcome: there only the later call tells them apart."""
    one = Rules(may_refuse_account=False, minds_later_calls=False)
    neither = Rules(may_refuse_account=False, minds_later_calls=False, drops_stale_lookups=False)
    assert explore(one).broken == ""
    assert explore(neither, "DOUBLED").broken == "DOUBLED"


def without(moves, status, target):
    return moves | {status: moves[status] - {target}}


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        (Rules(fact_moves=FACT_MOVES | {M.DELIVERED: frozenset({M.SENT})}), "REOPENED"),
        (Rules(fact_moves=without(FACT_MOVES, M.QUEUED, M.UNKNOWN)), "DOUBLED"),
        (Rules(fact_moves=without(FACT_MOVES, M.UNKNOWN, M.UNCONFIRMED), resends_absent=False), "STUCK"),
        (Rules(decision_moves=without(DECISION_MOVES, M.QUEUED, M.CANCELLED)), "STUCK"),
    ],
)
def test_a_wrong_table_is_noticed(rules, broken):
    assert explore(rules, broken).broken == broken
