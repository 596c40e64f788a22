"""Small runs of the harness itself hold, on both databases."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plan import Target
from tests.support.modules import output_of

pytestmark = [
    pytest.mark.platform,
    pytest.mark.once,
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc, and limits them"),
]
OUTSIDE = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "REDIS_KEY_PREFIX", "KEEP", "INFOBIP_BASE_URL", "LEDGER")
KEYS = {
    *("messages", "kills", "kills_in_call", "faults", "lost", "doubled", "misstated", "unconfirmed", "recovery_s"),
    "seed",
}


def chaos(folder: Path, **options: Any) -> dict[str, Any]:
    """The last line of a run that was good, on servers of its own, of which nothing is left."""
    environment = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
    options = {"TIMEOUT": 150, "SEED": 1} | options
    values = {name: str(value) for name, value in options.items()} | {"VAR_DIR": str(folder)}
    *_, last = output_of("tests.chaos", environment | values, seconds=int(options["TIMEOUT"]) + 90)
    outcome: dict[str, Any] = json.loads(last)
    assert set(outcome) >= KEYS
    assert (outcome["lost"], outcome["doubled"], outcome["misstated"]) == (0, 0, 0)
    assert list(folder.iterdir()) == []
    return outcome


ALWAYS = {Target.DISK, Target.FLUSH, Target.FREEZE, Target.PAUSE}
RUNS = [("sqlite", 2, ALWAYS), ("postgres", 2, ALWAYS | {Target.DATABASE, Target.CONNECTIONS})]


@pytest.mark.parametrize(("database", "kills", "special"), RUNS)
def test_nothing_is_lost_doubled_or_misstated_whatever_is_killed(
    tmp_path: Path, database: str, kills: int, special: set[Target]
) -> None:
    outcome = chaos(tmp_path, MESSAGES=30 * kills, KILLS=kills, DATABASE=database)
    assert outcome["kills"] == kills
    assert outcome["kills_in_call"] >= 1
    assert set(outcome["struck"]) > special
    assert outcome["faults"]
    assert outcome["requests"]["accepted"] > 5
    assert outcome["requests"]["refused"] == 0
    assert outcome["ledger"] == "compared"
    assert outcome["told"] >= outcome["messages"]
    assert outcome["webhooks"]["taken"] > outcome["webhooks"]["500"] >= 1
    assert outcome["repeats"]["replayed"] >= 1
    assert outcome["audited"] > 5


def test_a_batch_that_kills_whoever_takes_it_is_given_up_and_harms_no_other(tmp_path: Path) -> None:
    outcome = chaos(tmp_path, MESSAGES=60, POISON=1)
    assert outcome["kills"] == outcome["leases"] == 5
    assert outcome["poisoned"] == outcome["of"] > 1


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_machine_that_is_put_back_whole_asks_the_provider_and_sends_nothing_twice(
    tmp_path: Path, database: str
) -> None:
    outcome = chaos(tmp_path, MESSAGES=120, ROLLBACK=1, DATABASE=database, TIMEOUT=240)
    assert outcome["at_snapshot"] < outcome["at_rollback"] == outcome["at_hold"]
    assert outcome["held"]
    assert " has message " in outcome["sign"]
    assert outcome["recovered"] >= 1
    assert outcome["unconfirmed"] == 0
