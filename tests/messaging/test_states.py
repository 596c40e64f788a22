"""The one table of states: what is drawn is what is allowed, and nothing leads out of the table."""

import inspect
from typing import Any

import pytest

from campaigns.choices import FINAL, CampaignStatus
from campaigns.models import Campaign
from messaging.choices import (
    ATTEMPT,
    BATCH,
    MACHINES,
    MESSAGE,
    OPEN,
    RANK,
    RESTING,
    Actor,
    AttemptState,
    BatchState,
    FactSource,
    MessageStatus,
)
from messaging.models import Attempt, Batch, Message
from smsapp.lib.state_machine import Machine

M = MessageStatus
MODELS: dict[str, tuple[type, type]] = {
    "message": (Message, MessageStatus),
    "attempt": (Attempt, AttemptState),
    "batch": (Batch, BatchState),
    "campaign": (Campaign, CampaignStatus),
}
FIRST: dict[str, list[Any]] = {  # states in which a row may be made
    "message": [M.QUEUED, M.FAILED],
    "attempt": [AttemptState.OPEN],
    "batch": [BatchState.DEFERRED, BatchState.READY, BatchState.DONE],
    "campaign": [CampaignStatus.DRAFT, CampaignStatus.SCHEDULED, CampaignStatus.RUNNING],
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_drawing_in_the_model_is_the_table(name):
    drawn = [line.strip() for line in inspect.getdoc(MODELS[name][0]).splitlines() if " -> " in line]
    assert drawn == [line.strip() for line in MACHINES[name].drawing().splitlines()]


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_can_be_reached(name):
    reached = set(FIRST[name])
    waiting = list(reached)
    while waiting:
        new = set(MACHINES[name].targets(waiting.pop())) - reached
        reached |= new
        waiting += new
    assert reached == set(MODELS[name][1])


def test_facts_never_lower_the_rank():
    """The two corrections of a closed state are the only moves within or below a rank."""
    corrections = {(M.UNDELIVERED, M.DELIVERED), (M.UNCONFIRMED, M.SENT)}
    for status, targets in MESSAGE.moves(*set(FactSource) - {FactSource.DECISION}).items():
        for target in targets:
            assert RANK[target] > RANK[status] or (status, target) in corrections


def test_our_own_decisions_touch_only_what_is_in_no_call():
    assert MESSAGE.moves(FactSource.DECISION) == {
        M.QUEUED: {M.FAILED, M.EXPIRED, M.CANCELLED, M.SUPPRESSED},
        M.UNKNOWN: {M.QUEUED},
    }


def test_the_end_of_a_deadline_never_claims_to_know_what_happened():
    told = {target for targets in MESSAGE.moves(FactSource.DEADLINE).values() for target in targets}
    assert told == {M.UNKNOWN, M.UNCONFIRMED}


def test_every_open_message_can_be_closed_without_the_provider():
    """What nobody ever hears of again comes to an end by deadlines and decisions alone."""
    ours = MESSAGE.moves(FactSource.DEADLINE, FactSource.DECISION)
    assert all(ours[status] for status in OPEN)


def test_only_its_holder_or_the_end_of_its_lease_moves_a_leased_batch():
    assert {state: BATCH.targets(BatchState.LEASED, Actor.TALLY, Actor.LOOKUP) for state in RESTING} == {
        state: [] for state in RESTING
    }
    assert BATCH.sources(BatchState.LEASED) == [BatchState.READY]


def test_an_attempt_that_was_given_up_is_settled_by_look_up_alone():
    assert ATTEMPT.targets(AttemptState.UNKNOWN) == [AttemptState.RESOLVED]
    assert ATTEMPT.sources(AttemptState.RESOLVED, Actor.WORKER, Actor.SWEEP) == []


def test_a_campaign_that_has_ended_stays_ended():
    assert {CampaignStatus.COMPLETED, CampaignStatus.CANCELLED, CampaignStatus.FAILED} == FINAL


def test_a_machine_allows_what_is_in_it_and_nothing_else():
    machine: Machine[str, str] = Machine({"a": {"b": ("x",), "c": ("x", "y")}})
    assert machine.may("a", "b", "x")
    assert not machine.may("a", "b", "y")
    assert not machine.may("b", "a", "x")
    assert machine.sources("c", "y") == ["a"]
    assert machine.targets("a") == ["b", "c"]
    assert machine.moves("y") == {"a": {"c"}}
    assert machine.drawing() == "a -> b  by x\na -> c  by x, y"


def test_the_states_of_a_message_are_a_range_without_gaps():
    """The table checks the ends only: a list costs SQLite half of an insert."""
    assert sorted(MessageStatus) == list(range(min(MessageStatus), max(MessageStatus) + 1))
