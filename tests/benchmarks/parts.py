"""The parts of a run by name. Each is measured on the same stand and gives its figures."""

from collections.abc import Callable

from tests.benchmarks import api, appliers, dashboard, embedded, growth, numbers, rounds, singles, upkeep
from tests.benchmarks.report import Result
from tests.benchmarks.stand import Stand

MEASURE: dict[str, Callable[[Stand], Result]] = {
    "path": rounds.measure,
    "growth": growth.measure,
    "singles": singles.measure,
    "api": api.measure,
    "dashboard": dashboard.measure,
    "numbers": numbers.measure,
    "embedded": embedded.measure,
    "upkeep": upkeep.measure,
    "appliers": appliers.measure,
}
