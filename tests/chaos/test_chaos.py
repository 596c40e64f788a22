"""The harness itself: its oracle notices each kind of lie, its plan is the seed's, and a small run holds."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings

from messaging.choices import MessageStatus
from tests.chaos.oracle import Entry, Finding, Row, Verdict, compare, miscounted
from tests.chaos.plan import NO_KILL, SENDING, Target, make_plan

pytestmark = pytest.mark.once

ROW = Row(1024, "a", 1, "49151", MessageStatus.DELIVERED, "")
ENTRY = Entry("a", "49151", "delivered", 1)


def verdict_on(status: MessageStatus, entry: Entry | None) -> Verdict:
    return compare([ROW._replace(status=status)], [entry] if entry else [], [ROW.phone])


def told(verdict: Verdict) -> tuple[int, int, int]:
    return len(verdict.lost), len(verdict.doubled), len(verdict.misstated)


@pytest.mark.parametrize(
    ("status", "kind", "times", "expected"),
    [
        ("DELIVERED", "delivered", 1, (0, 0, 0)),
        ("UNDELIVERED", "undelivered", 1, (0, 0, 0)),
        ("REJECTED", "rejected", 0, (0, 0, 0)),
        ("UNCONFIRMED", "delivered", 1, (0, 0, 0)),  # claims nothing
        ("UNCONFIRMED", None, 0, (0, 0, 0)),
        ("DELIVERED", "delivered", 2, (0, 1, 0)),
        ("UNCONFIRMED", "delivered", 3, (0, 1, 0)),
        ("QUEUED", None, 0, (1, 0, 0)),
        ("UNKNOWN", "delivered", 1, (1, 0, 0)),
        ("SENT", "delivered", 1, (1, 0, 0)),
        ("SENT", None, 0, (1, 0, 1)),
        ("DELIVERED", None, 0, (0, 0, 1)),
        ("DELIVERED", "undelivered", 1, (0, 0, 1)),
        ("REJECTED", "delivered", 1, (0, 0, 1)),
        ("FAILED", None, 0, (1, 0, 0)),  # given up, and nothing here gives cause for that
        ("CANCELLED", "delivered", 1, (1, 0, 1)),
    ],
)
def test_a_message_is_judged_by_the_ledger(
    status: str, kind: str | None, times: int, expected: tuple[int, int, int]
) -> None:
    entry = ENTRY._replace(kind=kind, times_accepted=times) if kind else None
    assert told(verdict_on(MessageStatus[status], entry)) == expected


def test_a_recipient_without_a_message_is_lost() -> None:
    assert compare([ROW], [ENTRY], [ROW.phone, "49152"]).lost == [Finding("49152 has no message")]


def test_an_accepted_id_that_is_not_ours_is_lost_and_a_second_message_to_one_number_is_doubled() -> None:
    verdict = compare([ROW], [ENTRY, ENTRY._replace(message_id="b")], [ROW.phone])
    assert verdict.lost == [Finding("b was accepted and is not in the database")]
    assert verdict.doubled == [Finding("49151 was accepted as a, b", ROW.number)]


def test_a_counter_that_is_not_the_number_of_rows_is_named() -> None:
    tally = {"delivered": 1, "sent": 0, "queued": 1}
    assert miscounted("batch 1", tally, [ROW]) == [Finding("batch 1 counts 1 queued and has 0")]


def test_a_plan_is_a_function_of_its_seed() -> None:
    plan = make_plan(7, 5000, 50, with_broker=True)
    assert plan == make_plan(7, 5000, 50, with_broker=True)
    assert plan != make_plan(8, 5000, 50, with_broker=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_hits_everything_and_mostly_calls(seed: int) -> None:
    plan = make_plan(seed, 50_000, 200, with_broker=True)
    hit = Counter(event.target for event in plan)
    assert set(hit) == set(Target)
    assert hit.total() - sum(hit[target] for target in NO_KILL) == 200
    assert sum(event.wants_call for event in plan if event.target in SENDING) > 110
    assert abs(hit[Target.WORKER] - hit[Target.WORKER_ALONE]) <= 2
    assert plan[0].at == 0 < plan[-1].at < 50_000
    assert Target.BROKER not in {event.target for event in make_plan(seed, 50_000, 200, with_broker=False)}
    assert all(not event.wants_call for event in plan if event.target not in (*SENDING, Target.FREEZE))


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_nothing_is_lost_doubled_or_misstated_though_processes_are_killed(tmp_path: Path) -> None:
    outside = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "REDIS_KEY_PREFIX", "KEEP")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    run = {"MESSAGES": "200", "KILLS": "3", "SEED": "1", "TIMEOUT": "100", "DATABASE": "sqlite"}
    process = subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        env=environment | run | {"VAR_DIR": str(tmp_path)},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    outcome = json.loads(process.stdout.splitlines()[-1])
    assert (outcome["lost"], outcome["doubled"], outcome["misstated"]) == (0, 0, 0)
    assert outcome["kills"] == 3
    assert outcome["kills_in_call"] >= 1
    assert outcome["faults"]
    assert list(tmp_path.iterdir()) == []
