"""A small run of `make bench` measures everything there is and counts right; no time is asserted."""

import json
import os
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from smsapp.runtime.supervisor import Program, Supervisor
from tests.benchmarks.figures import Figure
from tests.benchmarks.numbers import compare
from tests.benchmarks.options import OUTSIDE, PARTS
from tests.benchmarks.path import mismatch
from tests.benchmarks.processes import Memory, cpu_seconds, difference, program_of
from tests.support.modules import output_of

pytestmark = pytest.mark.platform

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what processes cost from /proc")
SIZES = {
    "ROWS": 300,
    "ROUNDS": 1,
    "WORKERS": 1,
    "SAMPLE": 10,
    "GROWTH": "40,80",
    "DASHBOARD_ROWS": 2000,
    "NUMBERS": 200,
    "CALLS": 16,
    "CLIENTS": 2,
    "TIMEOUT": 300,
}
KEYS = {
    "rows",
    "import_per_s",
    "accepted_per_s",
    "reports_per_s",
    "path_per_s",
    "raw_per_s",
    "path_vs_raw",
    "path_vs_per_message",
    "cpu_us_per_message",
    "peak_mib",
    "single_p95_ms_under_load",
    "api_send_per_s",
    "api_send_p95_ms",
}
LEFT = {"bench.jsonl", "bench.svg"}
PATIENCE = 900  # seconds for the run: chaos may have the machine beside it
BURNT = 0.5  # seconds of processor time
BURN = f"import time\nwhile time.process_time() < {BURNT}: pass"
LEDGER = {"delivered": 5, "undelivered": 1, "rejected": 1, "duplicates": 0}


def bench(folder: Path) -> list[str]:
    """The lines of a run on servers of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in (*OUTSIDE, "ONLY", "KEEP")}
    sizes = {name: str(value) for name, value in SIZES.items()}
    return output_of("tests.benchmarks", environment | sizes | {"VAR_DIR": str(folder)}, PATIENCE)


@linux
@pytest.mark.once
@pytest.mark.long
def test_a_small_run_measures_every_part_and_leaves_only_its_results(tmp_path: Path) -> None:
    lines = bench(tmp_path)
    outcome: dict[str, Any] = json.loads(lines[-1])
    assert set(outcome) >= KEYS
    assert outcome["rows"] == SIZES["ROWS"]
    assert all(outcome[name] is not None and outcome[name] for name in KEYS)
    workers = {"worker", "worker-fast", "worker-reports", "worker-periodic", "worker-webhooks"}
    assert set(outcome["peak_mib"]) == {"beat", "broker", "postgres", "web", *workers}
    assert {path.name for path in tmp_path.iterdir()} == LEFT
    figures = [json.loads(line) for line in (tmp_path / "bench.jsonl").read_text().splitlines()]
    assert {figure["part"] for figure in figures} == {*PARTS, "memory"}
    values = {figure["name"]: figure["value"] for figure in figures}
    assert values["disagreements"] == 0
    assert values["single sends"] >= 1
    assert any(line.startswith("path") and "whole path / raw limit" in line for line in lines)
    assert ElementTree.parse(tmp_path / "bench.svg").getroot().tag.endswith("svg")  # noqa: S314  (our own file)


def test_verdicts_agree_on_numbers_of_every_list() -> None:
    found = compare(300, seed=2)
    assert [one.name for one in found.lists] == ["mixed", "clean", "random", "mutated"]
    assert [one.count for one in found.lists] == [300] * 4
    assert [one.differing for one in found.lists] == [[]] * 4


@pytest.mark.parametrize(
    ("counted", "after", "said"),
    [
        ({}, {}, ""),
        ({"delivered": 4}, {}, "7 messages"),
        ({"delivered": 4, "undelivered": 2}, {}, "ledger"),
        ({}, {"delivered": 16}, "ledger"),
        ({}, {"duplicates": 2}, "twice"),
    ],
)
def test_a_count_that_is_not_the_ledgers_is_noticed(counted: dict, after: dict, said: str) -> None:
    before = {"delivered": 10, "undelivered": 2, "rejected": 0, "duplicates": 0}
    right = {name: LEDGER[name] for name in ("delivered", "undelivered", "rejected")}
    ledger = {name: before[name] + count for name, count in LEDGER.items()}
    wrong = mismatch(7, right | counted, before, ledger | after)
    assert (said in wrong) if said else (wrong == "")


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("path", "speed", 80, at_least=80), "reached"),
        (Figure("path", "speed", 20, at_least=80), "reaches 25 % of the goal"),
        (Figure("path", "cost", 40, at_most=40), "reached"),
        (Figure("path", "cost", 80, at_most=40), "reaches 50 % of the goal"),
        (Figure("path", "faults", 0, at_most=0), "reached"),
        (Figure("path", "faults", 3, at_most=0), "reaches 0 % of the goal"),
        (Figure("path", "share", 99.99, at_least=100), "reaches 99 % of the goal"),
        (Figure("path", "speed", 80), ""),
    ],
)
def test_a_figure_says_how_much_of_its_goal_it_reaches(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict


@linux
def test_the_time_of_children_that_have_ended_is_counted_with_their_parents() -> None:
    wait = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {BURN!r}]); print('burnt', flush=True)"
    with Supervisor(lambda name, line: None) as supervisor:
        child = supervisor.start(Program("parent-2", [sys.executable, "-c", f"{wait}; time.sleep(60)"]))
        before = cpu_seconds(supervisor.children)
        deadline = time.monotonic() + 60
        while "burnt" not in child.tail and time.monotonic() < deadline:
            time.sleep(0.05)
        spent = difference(before, cpu_seconds(supervisor.children))
        memory = Memory()
        memory.look(supervisor.children)
    assert spent["parent"] >= 0.9 * BURNT
    assert memory.peak_mib["parent"] > 1


def test_copies_of_a_program_are_one_program() -> None:
    assert [program_of(name) for name in ("worker", "worker-2", "worker-fast", "worker-fast-12")] == [
        *("worker", "worker", "worker-fast", "worker-fast"),
    ]
